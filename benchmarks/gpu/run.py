# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run the measurements on a GPU, each part in its own process, within a budget of time.

Each figure is written to DIR/PART.json when it is known, so that a stopped command loses nothing.
Clocks and modes of the GPU are read, never changed. Exit code 0: all rows measured or skipped with
a reason. Exit code 1: a row failed, or a part was stopped or not started.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]
from gpu import machine, table  # noqa: E402

from viva_ros.core.child_process import python_child  # noqa: E402

GRACE: Final = 6.0  # s, for a part to end after its time limit
RESERVE: Final = 4.0  # s of the budget for the table
LOOK: Final = 5.0  # s between looks at the clocks


@dataclass(frozen=True)
class Job:
    """
    One part.

    :param seconds: after which it is stopped
    """

    module: str
    seconds: float


JOBS: Final = {
    '0': Job('rehearsal', 10.0), '1': Job('correctness', 100.0), '2': Job('latency', 200.0),
    '3': Job('eight_bits', 140.0), '4': Job('neighbours', 110.0), '5': Job('training', 100.0),
    '6': Job('tensorrt_part', 250.0),
}  # fmt: skip
USUAL: Final = '1,2,3,4,5'  # 6 needs a library that the others do not


class Runner:
    """Runs parts, and keeps their files complete."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args, self._end = args, time.monotonic() + args.budget - RESERVE
        self._process: subprocess.Popen[bytes] | None = None
        self._facts, self.contents = machine.describe(), {}
        self._write('machine', self._facts)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def run(self, number: str, limit: float) -> bool:
        """Run a part; return whether it succeeded completely."""
        job = JOBS[number]
        name = f'{number}_{job.module}'
        seconds = min(limit, self._end - time.monotonic())
        path: Path = self._args.out / f'{name}.json'
        path.unlink(missing_ok=True)
        began = time.monotonic()
        if seconds < GRACE / 2:
            self._close(name, path, 'not begun: the budget is spent', None, 0.0)
            return False
        print(f'== {name}: up to {seconds:.0f} s', flush=True)
        self._process = subprocess.Popen(
            **self._child(job, path, max(seconds - GRACE, 1.0)), start_new_session=True
        )
        ended = self._watch(name, began + seconds)
        self._kill()
        code = self._process.returncode
        state = 'done' if ended else f'stopped after {seconds:.0f} s'
        self._close(name, path, state, code, time.monotonic() - began)
        return ended and code == 0

    def _child(self, job: Job, path: Path, seconds: float) -> dict[str, Any]:
        tiny = ['--tiny'] * self._args.tiny
        return python_child(
            f'gpu.{job.module}', '--out', path, '--seconds', seconds,
            '--device', self._args.device, *tiny, env=_environment(),
        )  # fmt: skip

    def _watch(self, name: str, end: float) -> bool:
        """Wait for the part while reading the clocks; return whether it ended in time."""
        assert self._process
        clocks = machine.Clocks()
        while (left := end - time.monotonic()) > 0:
            try:
                self._process.wait(min(LOOK, left))
                return True
            except subprocess.TimeoutExpired:
                if self._args.device == 'cuda':
                    clocks.look()
                    self._facts['clocks'][name] = clocks.seen
                    self._write('machine', self._facts)
        return False

    def _kill(self) -> None:
        """End the part and its child processes."""
        assert self._process
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(2.0)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """End the running part and this command; all figures are on disk."""
        if self._process and self._process.poll() is None:
            self._kill()
        raise SystemExit(128 + number)

    def _close(self, name: str, path: Path, state: str, code: int | None, seconds: float) -> None:
        """Add the state to the file of a part; create the file if it is missing."""
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        except (OSError, ValueError):
            content = {'rows': {}}
        content |= {'part': name, 'state': state, 'exit_code': code, 'wall_s': round(seconds, 1)}
        self.contents[name] = content
        self._write(name, content)

    def _write(self, name: str, content: Any) -> None:
        """Write a file, whole or not at all."""
        temporary = self._args.out / f'.{name}.tmp'
        temporary.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
        temporary.replace(self._args.out / f'{name}.json')


def _environment() -> dict[str, str]:
    """Return the environment of a part: this folder's parent and the checkout can be imported."""
    given = os.environ.get('PYTHONPATH', '')
    places = [str(HERE.parent), *filter(None, given.split(os.pathsep)), str(HERE.parents[1])]
    return {
        **os.environ, 'PYTHONPATH': os.pathsep.join(places), 'PYTHONUNBUFFERED': '1',
        'HF_HUB_OFFLINE': '1', 'DIFFUSERS_VERBOSITY': 'error', 'TOKENIZERS_PARALLELISM': 'false',
    }  # fmt: skip


def _limit(text: str) -> tuple[str, float]:
    number, _, seconds = text.partition('=')
    if number not in JOBS:
        raise argparse.ArgumentTypeError(f'part {number!r} is none of {", ".join(JOBS)}')
    return number, float(seconds)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split('\n\n')[0])
    parser.add_argument(
        '--budget',
        type=float,
        default=540.0,
        help='Time limit of all parts together, s (default: %(default)g)',
    )
    parser.add_argument('--out', type=Path, required=True, help='Folder of the JSON files')
    parser.add_argument(
        '--parts', default=USUAL, help='Parts to run, separated by commas (default: %(default)s)'
    )
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda',
                        help='Device (default: %(default)s)')  # fmt: skip
    parser.add_argument('--tiny', action='store_true', help='Small sizes, to test the command')
    parser.add_argument('--limit', type=_limit, action='append', default=[], metavar='PART=S',
                        help='Time limit of one part; repeat for others')  # fmt: skip
    args = parser.parse_args(argv)
    numbers = args.parts.split(',')
    if unknown := [number for number in numbers if number not in JOBS]:
        parser.error(f'parts {unknown} are none of {", ".join(JOBS)}')
    args.out.mkdir(parents=True, exist_ok=True)
    limits = {number: job.seconds for number, job in JOBS.items()} | dict(args.limit)
    runner = Runner(args)
    went_well = [runner.run(number, limits[number]) for number in numbers]
    print('\n'.join(table.lines(runner.contents)), flush=True)
    return int(not all(went_well))


if __name__ == '__main__':
    raise SystemExit(main())
