# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import signal
import subprocess
import sys
import time

import psutil
import pytest

from viva_ros.core.errors import ConfigurationError
from viva_ros.nodes import bringup
from viva_ros.nodes.description import MONITOR, SIM, SUPERVISOR


def test_arguments_that_are_left_empty_do_not_hide_the_configuration_file():
    line = bringup.command(MONITOR, bringup.check_options('monitor', {}))
    assert line[1:5] == ['-m', 'viva_ros.nodes', 'monitor', '--ros-args']
    assert line[-2] == '--params-file' and line[-1].endswith('config/monitor.yaml')


def test_an_argument_sets_the_parameter_of_every_node_that_has_it():
    options = bringup.check_options('demo', {'task': 'cube_transfer', 'dry_run': True, 'seed': 3})
    assert 'task:=cube_transfer' in bringup.command(SIM, options)
    assert 'task:=cube_transfer' in bringup.command(MONITOR, options)
    assert 'retry.dry_run:=true' in bringup.command(SUPERVISOR, options)
    assert 'seed:=3' in bringup.command(SIM, options)


def test_the_namespace_is_one_with_a_slash():
    options = bringup.check_options('monitor', {'namespace': 'cell/left'})
    assert '__ns:=/cell/left' in bringup.command(MONITOR, options)


def test_unknown_arguments_and_folders_are_refused():
    with pytest.raises(
        ConfigurationError, match="'sped' is no argument of monitor, must be one of"
    ):
        bringup.check_options('monitor', {'sped': 1})
    with pytest.raises(ConfigurationError, match="config is '/nowhere', must be a folder"):
        bringup.config_folder({'config': '/nowhere'})
    with pytest.raises(ConfigurationError, match='must be NAME:=VALUE'):
        bringup.split_argument('task=x')


def test_processes_that_do_not_heed_are_ended_by_force(monkeypatch):
    monkeypatch.setattr(bringup, 'STOP_TIMEOUT', 0.5)
    deaf = (
        'import signal, time; signal.signal(2, signal.SIG_IGN); print(flush=True); time.sleep(99)'
    )
    process = subprocess.Popen([sys.executable, '-c', deaf], stdout=subprocess.PIPE)
    process.stdout.readline()
    bringup.stop([process])
    assert process.returncode == -signal.SIGKILL


def test_nodes_write_to_files_and_end_cleanly(domain, tmp_path):
    with bringup.started('demo', {}, log_folder=tmp_path) as nodes:
        end = time.monotonic() + 60.0
        while 'waiting for' not in (tmp_path / 'sim.log').read_text():
            assert not nodes.ended() and time.monotonic() < end
            time.sleep(0.1)
    assert nodes.ended() == {'sim': 0, 'monitor': 0, 'supervisor': 0}


def test_ctrl_c_ends_all_and_is_no_error(domain):
    process = subprocess.Popen(
        [sys.executable, '-m', 'viva_ros.nodes.bringup', 'monitor'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = iter(process.stdout.readline, b'')
    assert b'not a safety function' in next(lines)
    assert any(line.startswith(b'[') for line in lines)
    process.send_signal(signal.SIGINT)
    assert process.wait(20.0) == 0


def test_nodes_end_when_the_process_that_started_them_is_killed(domain, listener, until):
    process = subprocess.Popen(
        [sys.executable, '-m', 'viva_ros.nodes.bringup', 'monitor'], stdout=subprocess.DEVNULL
    )
    until(lambda: {'monitor', 'supervisor'} <= set(listener.get_node_names()), 'the nodes')
    children = psutil.Process(process.pid).children()
    assert len(children) == 3
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=20.0)
    assert not alive
