# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a schedule of disturbances against a cell, and returns the history of the run."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.chaos.history import OTHER_TASK, TASK, Disturbance, History, Sample
from benchmarks.chaos.processes import Cell, end, wait_until
from benchmarks.chaos.recording import look_at_files, read, two_monitors
from benchmarks.chaos.schedule import Planned
from viva_ros.engine.usage import signal_at_end_of_parent

TICK: Final = 0.1  # s
START: Final = 120.0  # s, for the first value at level OK
PATIENCE: Final = 60.0  # s, for the recovery
SECOND: Final = 6.0  # s; a second node needs some to start
BURNERS: Final = 2
SMALL: Final = 20_000  # bytes that a file may have on a full disk
OF_STRANGER: Final = (
    'flood', 'replayed_values', 'unknown_values', 'foreign_values', 'second_camera',
    'second_joints', 'parameters', 'clock', 'foreign_episode',
)  # fmt: skip


class Stopped(Exception):  # noqa: N818, no error
    """A run was stopped from outside."""


class Runner:
    """
    Executes a schedule.

    :param cell: is running
    :param stopped: an event that stops the run; None: nothing does
    """

    def __init__(
        self, cell: Cell, plan: Sequence[Planned], stopped: threading.Event | None = None
    ) -> None:
        self._cell, self._plan = cell, list(plan)
        self._stopped = stopped or threading.Event()
        self._done: list[Disturbance] = []
        self._open: list[tuple[float, Callable[[], bool]]] = []  # due time, and what is then done
        self._samples: list[Sample] = []
        self._late: list[tuple[float, float]] = []
        self._sampled = 0.0

    def run(self, seconds: float) -> History:
        """
        Run the schedule, wait for the recovery, end the cell, and read the recording.

        :raises RuntimeError: if the undisturbed cell never comes to known values at level OK
        :raises Stopped: if the event is set; all disturbances are over, and the cell has ended
        """
        try:
            return self._run(seconds)
        except BaseException:
            for _, action in self._open:  # wakes stopped processes, ends second nodes and burners
                action()
            self._cell.end()
            raise

    def _run(self, seconds: float) -> History:
        if not wait_until(self._is_ok, START):
            raise RuntimeError(f'no value at level OK in {START:g} s: see {self._cell.folder}')
        begin, due = time.time(), time.monotonic()
        until = due + seconds
        while due < until or self._open:
            self._check()
            due += TICK
            time.sleep(max(0.0, due - time.monotonic()))
            self._late.append((time.time(), max(0.0, time.monotonic() - due)))
            due = max(due, time.monotonic() - TICK)
            self._step(time.time() - begin)
        quiet = max([begin, *(one.end for one in self._done)])
        wait_until(self._is_ok, PATIENCE)
        time.sleep(1.0)
        finish = time.time()
        self._cell.end()
        return self._history(begin, quiet, finish)

    def _history(self, begin: float, quiet: float, finish: float) -> History:
        found = read(self._cell.recording)
        done = [one for one in self._done if one.kind != 'second_monitor']
        done += [*self._told(), *two_monitors(found.values)]
        return History(
            found.values, found.alerts, found.states, found.inputs, found.retries,
            found.liveliness, sorted(done, key=lambda one: one.begin), self._samples,
            look_at_files(self._cell.folder / 'black_box')
            + look_at_files(self._cell.folder / 'ros'),
            found.clock, self._late, begin, quiet, finish,
        )  # fmt: skip

    def _told(self) -> list[Disturbance]:
        """Return the disturbances of the stranger, as it has told them."""
        begun: dict[int, float] = {}
        found = []
        for one in self._cell.told:
            if one['word'] == 'begin':
                begun[one['seed']] = one['at']
            elif one['seed'] in begun:
                found.append(
                    Disturbance(one['kind'], one['target'], begun[one['seed']], one['at'])
                )
        return found

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Stopped

    def _is_ok(self) -> bool:
        self._check()
        self._tend()
        return self._cell.is_ok

    def _tend(self) -> None:
        now = time.time()
        self._cell.tend(now)
        if now - self._sampled >= 1.0:
            self._sampled = now
            self._samples += self._cell.sample(now)

    def _step(self, elapsed: float) -> None:
        self._tend()
        while self._plan and self._plan[0].at <= elapsed:
            self._begin(self._plan.pop(0))
        now = time.time()
        for entry in list(self._open):
            if now >= entry[0] and entry[1]():
                self._open.remove(entry)

    def _begin(self, one: Planned) -> None:
        begin = time.time()
        if one.kind in OF_STRANGER:
            self._cell.command(kind=one.kind, target=one.target, length=one.length, seed=one.seed)
            self._after(one.length + 0.5, lambda: self._note(one, begin))
            return
        {
            'kill': self._kill, 'stop': self._stop, 'hidden_engine': self._hide,
            'full_disk': self._fill, 'burners': self._burn, 'second_monitor': self._second,
            'second_supervisor': self._second,
        }[one.kind](one, begin)  # fmt: skip

    def _after(self, seconds: float, action: Callable[[], Any]) -> None:
        """Do something later; an action that returns False is tried again."""
        self._open.append((time.time() + seconds, lambda: action() is not False))

    def _note(self, one: Planned, begin: float) -> None:
        if one.kind not in OF_STRANGER:  # it tells them
            self._done.append(Disturbance(one.kind, one.target, begin, time.time()))

    def _kill(self, one: Planned, begin: float) -> None:
        process = self._cell.process(one.target)
        if process is None:
            return
        process.kill()

        def restarted() -> bool:
            new = self._cell.process(one.target)
            ended = self._cell.launch.poll() is not None or time.time() - begin > PATIENCE
            if not ended and (new is None or new.pid == process.pid):
                return False
            self._note(one, begin)
            return True

        self._after(0.1, restarted)

    def _stop(self, one: Planned, begin: float) -> None:
        process = self._cell.process(one.target)
        if process is None:
            return
        process.suspend()

        def resume() -> None:
            try:
                process.resume()
            except psutil.NoSuchProcess:
                pass  # killed as it did not answer
            self._note(one, begin)

        self._after(one.length, resume)

    def _hide(self, one: Planned, begin: float) -> None:
        """Let the description of the engine be missing while the monitor restarts."""
        path = self._cell.folder / 'engine/engine.json'
        away = path.with_suffix('.away')
        path.rename(away)
        process = self._cell.process('monitor')
        if process is not None:
            process.kill()

        def restore() -> None:
            away.rename(path)
            self._note(one, begin)

        self._after(one.length, restore)

    def _fill(self, one: Planned, begin: float) -> None:
        """Let the black box write no file beyond a small size, as on a full disk."""
        process = self._cell.process('black_box')
        if process is None:
            return
        _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (SMALL, hard))

        def empty() -> None:
            try:
                process.rlimit(psutil.RLIMIT_FSIZE, (hard, hard))
            except psutil.NoSuchProcess:
                pass
            self._note(one, begin)

        self._after(one.length, empty)

    def _burn(self, one: Planned, begin: float) -> None:
        line = ['sh', '-c', 'while :; do :; done']
        killed = partial(signal_at_end_of_parent, signal.SIGKILL)
        burning = [subprocess.Popen(line, preexec_fn=killed) for _ in range(BURNERS)]

        def stop() -> None:
            for process in burning:
                process.kill()
                process.wait()
            self._note(one, begin)

        self._after(one.length, stop)

    def _second(self, one: Planned, begin: float) -> None:
        process = self._cell.start_second(one.target)

        def stop() -> None:
            end(process)
            self._note(one, begin)

        self._after(SECOND + one.length, stop)


def make_engine(folder: Path) -> tuple[Path, Path]:
    """Write an engine whose value is the joint 'worth' for two tasks, and a calibration of one."""
    from support.onnx_engines import FINGERPRINT, write_worth_engine

    from viva_ros.core.detection.rules import RuleSettings
    from viva_ros.core.detection.thresholds import Calibration, Threshold
    from viva_ros.engine.manifest import read_manifest, write_manifest

    engine = write_worth_engine(folder / 'engine')
    write_manifest(engine, replace(read_manifest(engine), tasks=(TASK, OTHER_TASK)))
    never = {'no_rise': Threshold(2.0, 2.0), 'floor': Threshold(1.0, 1.0)}  # the largest values
    made = Calibration(
        FINGERPRINT, TASK, 40, 0.1, 0.3, 38, (0.9, 1.0), RuleSettings(), 10.0,
        {'drop': Threshold(0.3, 0.5), **never}, 'by hand',
    )  # fmt: skip
    path = folder / 'calibration.json'
    made.save(path)
    return engine, path
