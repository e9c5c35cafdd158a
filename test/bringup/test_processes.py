# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.errors import raises
from support.ros import PATIENCE, wait

from viva_ros.bringup import processes
from viva_ros.bringup.launch_arguments import check_arguments
from viva_ros.bringup.processes import Respawn
from viva_ros.cli import up
from viva_ros.cli.main import main
from viva_ros.nodes.registry import MONITOR


def test_command_line_has_namespace_parameters_and_log_level():
    options = check_arguments('monitor', {'namespace': 'cell/left', 'log_level': 'warn'})
    line = processes.command(MONITOR, options, Path('/tmp/monitor.yaml'))
    assert line[1:6] == ['-P', '-m', 'viva_ros.nodes', 'monitor', '--ros-args']
    assert line[6:] == [
        '-r', '__ns:=/cell/left', '--params-file', '/tmp/monitor.yaml', '--log-level', 'warn'
    ]  # fmt: skip
    line = processes.command(MONITOR, check_arguments('monitor', {}), Path('x'))
    assert '--log-level' not in line


def test_an_argument_that_is_no_pair_is_refused():
    with raises('launch-argument', "'task=x'", 'NAME:=VALUE'):
        up.split_argument('task=x')


def test_invalid_argument_starts_no_node(capsys):
    assert main(['up', 'monitor', 'enigne:=x']) == 2
    shown = capsys.readouterr()
    assert "has no argument 'enigne': is 'engine' meant?" in shown.err and shown.out == ''


def test_the_help_text_shows_defaults_and_choices():
    shown = up.list_arguments()
    assert 'task             Current task' in shown and "(default: 'tray_lift')" in shown
    assert 'One of raw, compressed, ffmpeg, foxglove.' in shown


def test_process_that_ignores_sigint_is_killed(monkeypatch):
    monkeypatch.setattr(processes, 'STOP_TIMEOUT', 0.5)
    deaf = (
        'import signal, time; signal.signal(2, signal.SIG_IGN); print(flush=True); time.sleep(99)'
    )
    process = subprocess.Popen([sys.executable, '-c', deaf], stdout=subprocess.PIPE)
    process.stdout.readline()
    processes.stop([process])
    assert process.returncode == -signal.SIGKILL


@pytest.mark.usefixtures('simulator')
def test_nodes_write_to_files_and_end_cleanly(domain, tmp_path):
    with processes.started('demo', {}, log_folder=tmp_path) as nodes:
        end = time.monotonic() + PATIENCE
        while 'waiting for' not in (tmp_path / 'sim.log').read_text():
            assert not nodes.ended() and time.monotonic() < end
            time.sleep(0.1)
    assert nodes.ended() == {'sim': 0, 'monitor': 0, 'supervisor': 0}


def test_without_respawn_a_node_that_fails_ends_all(domain):
    process = subprocess.Popen(
        [sys.executable, '-P', '-m', 'viva_ros.cli.main', 'up', 'monitor', 'respawn:=false',
         'black_box:=false'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = iter(process.stdout.readline, b'')
    assert any(line.startswith(b'[supervisor]') for line in lines)
    children = psutil.Process(process.pid).children()
    assert len(children) == 2
    children[0].kill()
    rest = b''.join(lines).decode()
    assert process.wait(PATIENCE) == 1
    assert 'monitor (exit code -9) ended, so all other nodes are stopped' in rest


def test_sigint_ends_all_nodes_with_exit_code_0(domain):
    process = subprocess.Popen(
        [sys.executable, '-P', '-m', 'viva_ros.cli.main', 'up', 'monitor'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = iter(process.stdout.readline, b'')
    assert b'not a safety function' in next(lines)
    assert any(line.startswith(b'[') for line in lines)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0


def test_nodes_end_when_their_parent_is_killed(domain, listener):
    process = subprocess.Popen(
        [sys.executable, '-P', '-m', 'viva_ros.cli.main', 'up', 'monitor'],
        stdout=subprocess.DEVNULL,
    )
    wait(lambda: {'monitor', 'supervisor'} <= set(listener.get_node_names()), 'the nodes')
    children = psutil.Process(process.pid).children()
    assert len(children) == 3
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive


def test_failed_node_is_restarted_after_one_second() -> None:
    respawn = Respawn(['monitor'])
    assert respawn.gone_for_good({'monitor': -9}, 10.0) == {}
    assert respawn.due(10.9) == []
    assert respawn.gone_for_good({'monitor': -9}, 10.9) == {}, 'its restart is scheduled'
    assert respawn.due(11.0) == ['monitor']
    assert respawn.due(11.1) == []


def test_node_with_exit_code_0_is_not_restarted() -> None:
    assert Respawn(['monitor']).gone_for_good({'monitor': 0}, 1.0) == {'monitor': 0}


def test_node_without_respawn_is_not_restarted() -> None:
    assert Respawn(['monitor']).gone_for_good({'sim': 1}, 1.0) == {'sim': 1}


def test_the_sixth_failure_within_a_minute_ends_all() -> None:
    respawn = Respawn(['monitor'])
    for second in range(0, 50, 10):
        assert respawn.gone_for_good({'monitor': 1}, float(second)) == {}
        assert respawn.due(second + 1.0) == ['monitor']
    assert respawn.gone_for_good({'monitor': 1}, 50.0) == {'monitor': 1}
    # The first start, at 1 s, is more than a minute ago.
    assert respawn.gone_for_good({'monitor': 1}, 61.5) == {}
