# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Convert recordings of any robot to one LeRobot dataset (v3.0).

Recordings are resampled to the rate of the map. An episode that exceeds the limits of the map is
refused with the reason, never repaired. A stopped import continues when the same command runs
again.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
from rich.console import Console
from rich.table import Column, Table

from viva_ros.console.import_summary import show
from viva_ros.console.process_pool import mapping
from viva_ros.console.progress import bar
from viva_ros.console.provenance import command_line
from viva_ros.console.terminal import Terminal
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.files import replace_atomically
from viva_ros.data.conversion.annotations import Outcomes, read_table, unused_rows
from viva_ros.data.conversion.convert import ImportEmptyError, ImportJob, import_all
from viva_ros.data.conversion.guess import guess
from viva_ros.data.conversion.workspace import Unit
from viva_ros.data.lerobot.video import CODEC, ENCODERS
from viva_ros.data.open import common_map, find, open_unmapped
from viva_ros.data.recording import Recording
from viva_ros.robot.topic_map import HIGHEST_RATE, TopicMap, load_map

MOST = 8  # processes by default: each takes up to 360 MB of memory


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 if an episode was refused."""
    args = parse(argv)
    console = Terminal(highlight=False)
    if args.guess:
        if not write_draft(args.guess, args.sources, args.yes, console):
            return 1
        if args.out is None:
            return 0
        args.map = args.guess
    paths = find(args.sources)
    file = args.map or common_map(paths)
    topics = load_map(file) if file else TopicMap()
    if file != args.map:
        console.print(f'map: {file}; --map FILE replaces it', markup=False, soft_wrap=True)
    for text in topics.notes:
        console.print(f'note: {file}: {text}', markup=False, soft_wrap=True)
    topics = replace(topics, task=args.task or topics.task)
    if args.rate is not None:
        topics = replace(topics, rate=args.rate, text=f'{topics.text}\n# --rate {args.rate}\n')
    outcomes = Outcomes(
        args.success, read_table(args.labels) if args.labels else {}, topics.label,
        topics.task, tuple(args.sources),
    )  # fmt: skip
    try:
        report = import_all(
            paths, topics, outcomes, args.out, command_line('import'),
            partial(run, args.processes or default_processes()), args.codec,
        )  # fmt: skip
    except ImportEmptyError as error:
        show(error.rows, console, '')
        raise
    show(report['episodes'], console, f'viva train --recordings {args.out}')
    unused = unused_rows(outcomes.table, report['episodes'])
    if unused:
        text = f'note: rows of {args.labels} that name no episode: {", ".join(unused)}'
        console.print(text, markup=False, soft_wrap=True)
    refused = sum(bool(one['refused']) for one in report['episodes'])
    imported = len(report['episodes']) - refused
    console.print(f'{args.out}: {imported} episodes, {refused} refused', soft_wrap=True)
    return 2 if refused else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva import', description=__doc__)
    parser.add_argument('sources', type=Path, nargs='+', help='Recordings, or folders of them')
    parser.add_argument(
        '--map', type=Path,
        help='YAML file: cameras and joints; default: viva_map.yaml next to the recordings',
    )  # fmt: skip
    parser.add_argument(
        '--rate', type=rate, help='Frames per second, Hz; default: of the map, or of the dataset'
    )
    parser.add_argument('--out', type=Path, help='Folder of the dataset')
    parser.add_argument(
        '--guess', type=Path, metavar='FILE',
        help='Write a draft of the map from the first recording; with --out, import with it',
    )  # fmt: skip
    parser.add_argument('--yes', action='store_true', help='Write the draft without a question')
    parser.add_argument('--task', default='', help='Task of recordings that do not name one')
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument(
        '--success', action='store_true', default=None, help='All episodes succeeded'
    )
    outcome.add_argument(
        '--failure', action='store_false', dest='success', help='All episodes failed'
    )
    outcome.add_argument(
        '--labels', type=Path, help='CSV of outcomes: file,success[,failure,task]'
    )
    parser.add_argument(
        '--codec', choices=sorted(ENCODERS), default=CODEC,
        help='Codec of the videos; h264 is decoded faster, its encoder is GPL (default: av1)',
    )  # fmt: skip
    parser.add_argument(
        '--processes', type=positive,
        help=f'Number of worker processes; default: one for each CPU, at most {MOST}',
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.out is None and args.guess is None:
        parser.error('the following arguments are required: --out')
    if args.guess and args.map:
        parser.error('argument --guess: not allowed with argument --map')
    return args


def write_draft(path: Path, sources: Sequence[Path], yes: bool, console: Console) -> bool:
    """
    Show a draft of the map from the first recording, and write it after a yes.

    :returns: whether it was written
    :raises ConfigurationError: if the file exists, or if the draft is no valid map
    """
    if path.exists():
        raise ConfigurationError(
            'guess-exists', f'{path} exists: use it with --map, or choose another file'
        )
    first = first_readable(find(sources))
    draft = guess(first)
    columns = [Column(name, overflow='fold') for name in ('topic', 'type', 'Hz', 'use')]
    table = Table(*columns, title=str(first.path), title_justify='left')
    for row in draft.rows:
        table.add_row(row.topic, row.kind, f'{row.rate:.1f}', row.use)
    console.print(table)
    console.print(draft.text, markup=False, soft_wrap=True)
    if not yes:
        console.print(f'write {path}? [y/N] ', end='', markup=False)
        if sys.stdin.readline().strip().lower() not in ('y', 'yes'):
            console.print('nothing is written')
            return False
    replace_atomically(path, lambda temporary: _write_checked(temporary, draft.text))
    console.print(f'{path} is a draft: check names, sides and rates', soft_wrap=True)
    return True


def _write_checked(path: Path, text: str) -> None:
    """Write a draft; it must be a map that can be read."""
    path.write_text(text, encoding='utf-8')
    load_map(path)


def rate(text: str) -> int:
    """
    Return a rate of frames, Hz.

    :raises ArgumentTypeError: if it is no whole number in the range of a map
    """
    if not text.isdigit() or not 1 <= int(text) <= HIGHEST_RATE:
        raise argparse.ArgumentTypeError(
            f'is {text!r}, must be a whole number of Hz from 1 to {HIGHEST_RATE}'
        )
    return int(text)


def positive(text: str) -> int:
    """
    Return a number of processes.

    :raises ArgumentTypeError: if it is no whole number above 0
    """
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'is {text!r}, must be a whole number above 0')
    return int(text)


def first_readable(paths: Sequence[Path]) -> Recording:
    """
    Return the first recording that can be opened, without a map.

    :raises RecordingError: of the first, if none can be
    """
    errors = []
    for path in paths:
        try:
            return open_unmapped(path)
        except RecordingError as error:
            errors.append(error)
    raise errors[0]


def default_processes() -> int:
    """Return the number of CPUs that this process may use, at most ``MOST``."""
    return min(MOST, len(os.sched_getaffinity(0)))


def run(
    processes: int, work: Callable[[ImportJob], Unit], jobs: Sequence[ImportJob]
) -> Iterator[Unit]:
    """
    Import recordings in several processes, and show a progress bar.

    :raises RecordingError: also if a process died
    """
    try:
        with mapping(min(processes, len(jobs)), cv2.setNumThreads, 1) as apply:
            yield from bar(apply(work, jobs), 'importing', total=len(jobs))
    except BrokenProcessPool as error:
        raise RecordingError(
            'import-process-died',
            f'one of {processes} processes of the import died ({error}), for lack of memory or by '
            'a fault of a decoder: run the same command again, which keeps what is imported; if '
            'one dies again, add "--processes 1": its progress bar stops before the recording at '
            'fault',
        ) from error
