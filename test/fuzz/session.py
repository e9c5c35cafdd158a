# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One process that reads changed inputs of some targets, within limits of time and memory.

A reader may refuse an input by a ``VivaError``, and nothing else. A process that hangs, is out of
memory, or crashes in a library ends with a traceback; the input is in a file by then.
"""

import faulthandler
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from fuzz.target import Target
from viva_ros.core.errors import VivaError

LONGEST: Final = 10.0  # s of processor time for one input
HANGING: Final = 120.0  # s of wall time: blocked without computing, on however busy a machine
MEMORY: Final = 1 << 30  # bytes that one input may take beyond those of the process
ADDRESSES: Final = 8 << 30  # bytes of address space beyond those of the process
CURRENT: Final = 'current'  # file with the input that is read
PLACE: Final = 'place'  # file with target and number of that input, and the phase
READ, MUTATE = 'read', 'mutate'
PACKAGE: Final = f'{os.sep}viva_ros{os.sep}'


@dataclass(frozen=True)
class Crash:
    """
    An input that is not refused as it must be.

    :param signature: what was raised, and the innermost function of the package
    :param text: the last lines of the traceback
    """

    target: str
    signature: str
    text: str


@dataclass
class Summary:
    """
    Result of a target.

    :param refused: cases that end in a VivaError
    :param longest: time of the slowest case, s of processor time
    :param memory: most memory of the process beyond that at its start, MiB
    """

    target: str
    cases: int = 0
    refused: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    memory: float = 0.0


def signature(error: BaseException) -> str:
    """Return the class of an error and the innermost function of the package."""
    return f'{type(error).__name__} in {_place(error.__traceback__)}'


def _place(trace: TracebackType | None) -> str:
    place = 'the target'
    for frame, _ in traceback.walk_tb(trace):
        file = frame.f_code.co_filename
        if PACKAGE in file:
            module = file.rpartition(PACKAGE)[2].removesuffix('.py').replace(os.sep, '.')
            place = f'{module}.{frame.f_code.co_name}'
    return place


class Session:
    """Reads inputs in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._current = folder, folder / CURRENT
        forget_peak()
        self._base = peak_memory()

    def note(self, name: str, number: int, phase: str) -> None:
        """Note what follows, as this process may not survive it: READ or MUTATE, and the case."""
        (self._folder / PLACE).write_text(f'{name} {number} {phase}')

    def check(self, name: str, target: Target, data: bytes) -> tuple[Crash | None, bool]:
        """Read one input; return the crash, and whether it was refused."""
        self._current.write_bytes(data)
        files = self._folder / name
        files.mkdir(exist_ok=True)
        is_refused = False
        with limited():
            try:
                target.read(data, files)
            except VivaError:
                is_refused = True
            except Exception as error:
                trace = ''.join(traceback.format_exception(error)[-4:])
                return Crash(name, signature(error), trace), False
        used = peak_memory() - self._base
        if used > MEMORY:
            forget_peak()
            text = f'{used >> 20} MiB were taken, {MEMORY >> 20} are allowed'
            return Crash(name, f'memory in {name}', text), is_refused
        return None, is_refused

    def peak(self) -> float:
        """Return the most memory taken since the start of the process, MiB."""
        return max(0.0, (peak_memory() - self._base) / 2**20)


class limited:  # noqa: N801, a context manager
    """End this process with a traceback if a block computes or waits for too long."""

    def __enter__(self) -> None:
        faulthandler.dump_traceback_later(HANGING, exit=True)
        signal.setitimer(signal.ITIMER_PROF, LONGEST)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        faulthandler.cancel_dump_traceback_later()


def limit_process() -> None:
    """Set the limits of this process: address space, and tracebacks when a library ends it."""
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)
    used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESSES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def peak_memory() -> int:
    """Return the peak of this process, bytes; ``ru_maxrss`` has that of the parent, too."""
    status = Path('/proc/self/status').read_text().splitlines()
    return 1024 * next(int(one.split()[1]) for one in status if one.startswith('VmHWM'))


def forget_peak() -> None:
    Path('/proc/self/clear_refs').write_text('5')


def cases(
    name: str, seeds: Sequence[bytes], target: Target, seed: int, first: int
) -> Iterator[bytes]:
    """Yield changed inputs without end; number k depends on the seed and k only."""
    number = first
    while True:
        source = random.Random(f'{name} {seed} {number}')
        yield target.mutate(source.choice(list(seeds)), source)
        number += 1


class Run:
    """
    The cases of a target: counts them, and returns crashes and a summary each second.

    :param first: number of the first case
    """

    def __init__(self, session: Session, name: str, target: Target, first: int = 0) -> None:
        self._session, self._name, self._target = session, name, target
        self._began = self._told = time.monotonic()
        self.summary = Summary(name, first)
        session.note(name, first, MUTATE)

    def read(self, data: bytes) -> Iterator[Crash | Summary]:
        """Read one input; yield what is to be told."""
        summary, now, used = self.summary, time.monotonic(), time.process_time()
        self._session.note(self._name, summary.cases, READ)
        crash, is_refused = self._session.check(self._name, self._target, data)
        summary.longest = max(summary.longest, time.process_time() - used)
        summary.cases, summary.refused = summary.cases + 1, summary.refused + is_refused
        self._session.note(self._name, summary.cases, MUTATE)
        if crash is not None:
            yield crash
        if now - self._told > 1.0:
            self._told = now
            yield self.end()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def end(self) -> Summary:
        """Return the summary so far."""
        self.summary.seconds, self.summary.memory = self.seconds, self._session.peak()
        return self.summary


def seeds_of(name: str, target: Target, folder: Path) -> list[bytes]:
    """Return the valid inputs of a target."""
    with tempfile.TemporaryDirectory(prefix=f'{name}_', dir=folder) as place:
        return list(target.seeds(Path(place)))


def tell(one: Crash | Summary, folder: Path) -> None:
    """Print a crash with its input, or a summary, as a line of JSON."""
    line = {'kind': type(one).__name__, **asdict(one)}
    if isinstance(one, Crash):
        line['data'] = (folder / CURRENT).read_bytes().hex()
    print(json.dumps(line), flush=True)


def main() -> None:
    """
    Read changed inputs of targets; print crashes and summaries as lines of JSON.

    usage: python -m fuzz.session FOLDER SEED COUNT SECONDS FIRST TARGET...; COUNT and SECONDS are
    of each target, 0 for no limit; FIRST is the number of the first case of the first target
    """
    from fuzz.targets import TARGETS

    folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    seconds, first, names = float(sys.argv[4]), int(sys.argv[5]), sys.argv[6:]
    limit_process()
    for name in names:
        target, session = TARGETS[name], Session(folder)
        run = Run(session, name, target, first)
        for data in cases(name, seeds_of(name, target, folder), target, seed, first):
            over = seconds and run.seconds >= seconds
            if over or (count and run.summary.cases >= count):
                break
            for one in run.read(data):
                tell(one, folder)
        tell(run.end(), folder)
        first = 0


if __name__ == '__main__':
    main()
