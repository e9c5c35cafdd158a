# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import os
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
from viva_ros.bringup.processes import Respawn, RunningNodes
from viva_ros.cli import up
from viva_ros.cli.main import main
from viva_ros.nodes.registry import AUXILIARY, ESSENTIAL, MONITOR, ONCE, RespawnPolicy


def test_command_line_has_namespace_parameters_and_log_level():
    options = check_arguments('monitor', {'namespace': 'cell/left', 'log_level': 'warn'})
    line = processes.node_child(MONITOR, options, Path('/tmp/monitor.yaml'))['args']
    assert line[1:6] == ['-P', '-m', 'viva_ros.nodes', 'monitor', '--ros-args']
    assert line[6:] == [
        '-r', '__ns:=/cell/left', '--params-file', '/tmp/monitor.yaml', '--log-level', 'warn'
    ]  # fmt: skip
    line = processes.node_child(MONITOR, check_arguments('monitor', {}), Path('/x'))['args']
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


def respawn_of(**policies: RespawnPolicy) -> Respawn:
    return Respawn({'monitor': ESSENTIAL, 'supervisor': ESSENTIAL, **policies})


def test_failed_node_is_restarted_after_one_second() -> None:
    respawn = respawn_of()
    (line,) = respawn.note({'monitor': -9}, 10.0)
    assert line == 'monitor (exit code -9) failed and is started again in 1 s'
    assert respawn.due(10.9) == []
    assert respawn.note({'monitor': -9}, 10.9) == [], 'its restart is scheduled'
    assert respawn.due(11.0) == ['monitor']
    assert respawn.due(11.1) == [] and not respawn.over


def fail(respawn: Respawn, name: str, count: int, now: float) -> tuple[list[float], float]:
    """Let a node fail at once after each start; return the delays, and the time after."""
    delays = []
    for _ in range(count):
        respawn.note({name: 1}, now)
        if not respawn._due:
            break
        delays.append(respawn._due[name] - now)
        now = respawn._due[name]
        assert respawn.due(now) == [name]
    return delays, now


def test_delay_doubles_up_to_its_limit_and_recovers() -> None:
    respawn = respawn_of()
    delays, now = fail(respawn, 'monitor', 7, 0.0)
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert fail(respawn, 'monitor', 1, now + 60.0)[0] == [1.0], 'it ran for a minute'


def test_essential_node_that_fails_always_ends_nothing() -> None:
    respawn = respawn_of()
    delays, _ = fail(respawn, 'monitor', 2000, 0.0)
    assert len(delays) == 2000 and not respawn.over


def test_auxiliary_node_is_given_up_alone() -> None:
    respawn = respawn_of(black_box=AUXILIARY)
    delays, now = fail(respawn, 'black_box', 5, 0.0)
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0]
    (line,) = respawn.note({'black_box': -9}, now)
    assert 'black_box (exit code -9) failed 6 times in a row and is not started again' in line
    assert 'monitor, supervisor go on without it' in line
    assert not respawn.over and respawn.note({'black_box': -9}, now + 9.0) == []
    assert respawn.due(1e9) == []


def test_node_with_exit_code_0_is_not_restarted_and_ends_alone() -> None:
    respawn = respawn_of()
    (line,) = respawn.note({'monitor': 0}, 1.0)
    assert 'monitor (exit code 0) ended and is not started again; supervisor go on' in line
    assert respawn.due(9.0) == [] and not respawn.over
    (line,) = respawn.note({'supervisor': 0, 'monitor': 0}, 2.0)
    assert line == 'supervisor (exit code 0) ended, so all other nodes are stopped'
    assert respawn.over


def test_node_that_may_not_be_restarted_ends_all() -> None:
    respawn = respawn_of(sim=ONCE)
    assert respawn.note({'sim': 1}, 1.0) == [
        'sim (exit code 1) ended, so all other nodes are stopped'
    ]
    assert respawn.over


def test_auxiliary_node_without_respawn_ends_alone() -> None:
    options = check_arguments('monitor', {'respawn': 'false'})
    respawn = Respawn({one.name: options.policy(one) for one in options.programs})
    assert 'is not started again' in respawn.note({'black_box': 1}, 1.0)[0]
    assert not respawn.over
    respawn.note({'black_box': 1, 'monitor': 1}, 2.0)
    assert respawn.over


def test_node_that_cannot_be_started_is_reported_and_ends_no_other(capsys) -> None:
    def start(name: str):
        raise BlockingIOError(11, 'Resource temporarily unavailable')

    up.start_again(RunningNodes({}, start), 'black_box')
    assert 'black_box cannot be started: [Errno 11]' in capsys.readouterr().err


def test_node_is_read_on_when_nobody_reads_its_lines(monkeypatch) -> None:
    read, write = os.pipe()
    os.close(read)
    monkeypatch.setattr(sys, 'stdout', os.fdopen(write, 'w'))
    lines = 'for i in range(20_000): print("a line of a node", i)'
    process = subprocess.Popen([sys.executable, '-c', lines], stdout=subprocess.PIPE)
    processes.start_echo('monitor', process)
    assert process.wait(PATIENCE) == 0, 'else it blocks when the pipe is full'
    monkeypatch.undo()
