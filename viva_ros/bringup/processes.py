# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Start the nodes of a launch as processes, on a machine without ``launch``.

The output of each node gets a prefix, or goes to a file. All nodes end together, by SIGINT and
after a time-out by SIGKILL.
"""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from viva_ros.bringup.launch_arguments import (
    Options,
    added_environment,
    check_arguments,
    parameter_files,
)
from viva_ros.core.child_process import child_environment, python_child
from viva_ros.core.foreign_text import ERROR_LENGTH, LINE_LENGTH, shown
from viva_ros.engine.usage import signal_at_end_of_parent
from viva_ros.nodes.registry import Program, RespawnPolicy

STOP_TIMEOUT = 4.0  # s; nodes end within 3


@dataclass(frozen=True)
class RunningNodes:
    """Running nodes by name, and a function that starts one."""

    processes: dict[str, subprocess.Popen[bytes]]
    start: Callable[[str], subprocess.Popen[bytes]]

    def ended(self) -> dict[str, int]:
        """Return the exit codes of the nodes that have ended."""
        codes = {name: process.poll() for name, process in self.processes.items()}
        return {name: code for name, code in codes.items() if code is not None}


@contextmanager
def started(
    launch: str, options: Mapping[str, object], log_folder: Path | None = None
) -> Iterator[RunningNodes]:
    """
    Start the nodes of a launch, and end them at the end of the block.

    :param launch: one of LAUNCHES
    :param options: launch arguments; others have their defaults
    :param log_folder: folder of the output files NAME.log; None: print the output with a prefix
    :raises ConfigurationError: on an invalid argument
    """
    checked = check_arguments(launch, {name: as_text(value) for name, value in options.items()})
    files, notes = parameter_files(checked, namespace(checked))
    for note in notes:
        print(f'viva up: {shown(note, ERROR_LENGTH)}', file=sys.stderr)
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as stack:
        stack.callback(lambda: stop(processes.values()))
        programs = {program.name: program for program in checked.programs}

        def start(name: str) -> subprocess.Popen[bytes]:
            output: IO[bytes] | int = subprocess.PIPE
            if log_folder is not None:
                output = stack.enter_context((log_folder / f'{name}.log').open('ab'))
            processes[name] = subprocess.Popen(
                **node_child(programs[name], checked, files[name]),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C goes to this process, which passes it on
                preexec_fn=end_with_parent,
            )  # fmt: skip
            if log_folder is None:
                start_echo(name, processes[name])
            return processes[name]

        for name in programs:
            if log_folder is not None:  # of an earlier run; a restarted node appends
                (log_folder / f'{name}.log').unlink(missing_ok=True)
            start(name)
        yield RunningNodes(processes, start)


def as_text(value: object) -> str:
    """Return an argument as a text for the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def namespace(options: Options) -> str:
    """Return the absolute namespace of the nodes."""
    return '/' + options.values['namespace'].strip('/')


def node_child(program: Program, options: Options, parameters: Path) -> dict[str, Any]:
    """
    Return command line and environment of one node, for ``Popen``.

    It has the working directory of the user: parameters may name files relative to that.
    """
    return python_child(
        'viva_ros.nodes', program.name, '--ros-args', '-r', f'__ns:={namespace(options)}',
        '--params-file', parameters, *options.log_level, env=environment(),
    )  # fmt: skip


def environment() -> dict[str, str]:
    """Return the environment of the nodes: that of this process, and the path of the messages."""
    env = child_environment(os.environ) | added_environment()
    env.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    env['PYTHONUNBUFFERED'] = '1'
    return env


def end_with_parent() -> None:
    """
    Make the kernel send SIGINT to this process when its parent is killed.

    Signals are blocked until the program handles them: at its start they would print a traceback.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    signal_at_end_of_parent(signal.SIGINT)


def start_echo(name: str, process: subprocess.Popen[bytes]) -> None:
    """
    Print each line of a process with its name as prefix.

    It reads on if nobody reads this process's output: the node would block in its next line.
    """

    def echo() -> None:
        for line in process.stdout or ():
            with suppress(OSError, ValueError):
                text = line.decode(errors='replace').rstrip('\r\n').expandtabs()
                print(f'[{shown(name)}] {shown(text, LINE_LENGTH)}', flush=True)

    threading.Thread(target=echo, daemon=True).start()


def stop(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """End running processes; kill those that do not end within STOP_TIMEOUT."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.send_signal(signal.SIGINT)
    end = time.monotonic() + STOP_TIMEOUT
    for process in running:
        try:
            process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Respawn:
    """Decides which nodes are restarted after a failure, and when all are to end."""

    def __init__(self, policies: Mapping[str, RespawnPolicy]) -> None:
        """:param policies: of all nodes, by name."""
        self._policies = dict(policies)
        self._started = dict.fromkeys(policies, -math.inf)
        self._failures = dict.fromkeys(policies, 0)  # in a row
        self._due: dict[str, float] = {}
        self._gone: dict[str, int] = {}

    def note(self, ended: Mapping[str, int], now: float) -> list[str]:
        """
        Schedule restarts, and give nodes up.

        :param ended: exit codes by name of the nodes that do not run
        :param now: s
        :returns: a line of text for each node that ended since the last call
        """
        new = [name for name in ended if name not in self._due and name not in self._gone]
        return [self._judge(name, ended[name], now) for name in new]

    def due(self, now: float) -> list[str]:
        """Return the nodes to start again now."""
        names = [name for name, at in self._due.items() if now >= at]
        for name in names:
            del self._due[name]
            self._started[name] = now
        return names

    @property
    def over(self) -> bool:
        """
        Whether the others must end too.

        So it is if an essential node may not be restarted, or if no essential node is left.
        """
        essential = {name for name, one in self._policies.items() if one.is_essential}
        gone = essential & self._gone.keys()
        return essential == gone or any(not self._policies[name].restarts for name in gone)

    def _judge(self, name: str, code: int, now: float) -> str:
        policy, what = self._policies[name], f'{name} (exit code {code})'
        if now - self._started[name] >= policy.steady:
            self._failures[name] = 0
        count = self._failures[name] = self._failures[name] + 1
        is_over = policy.limit is not None and count > policy.limit
        if policy.restarts and code != 0 and not is_over:
            delay = min(policy.delay * 2 ** min(count - 1, 60), policy.longest)
            self._due[name] = now + delay
            return f'{what} failed and is started again in {delay:g} s'
        self._gone[name] = code
        if self.over:
            return f'{what} ended, so all other nodes are stopped'
        why = f'failed {count} times in a row' if is_over else 'ended'
        left = ', '.join(one for one in self._policies if one not in self._gone)
        return (
            f'{what} {why} and is not started again; {left} go on without it: read its output, '
            "then start 'viva up' again"
        )
