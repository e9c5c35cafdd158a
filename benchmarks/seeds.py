# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Seeds of the simulated recordings: `python -m benchmarks.seeds [RECORDINGS]`.

Checks that the sets of ``results/seeds.json`` share no seed with each other, nor with the retired
sets of earlier releases; that each result file is of the seeds of its set; and, with a folder
RECORDINGS, that its subfolders hold the seeds of their sets, that a training holds out those of
the selection, and that the shipped calibrations were made with those of theirs. With --record SET
it records what is missing of these sets first, and checks these alone.
"""

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from viva_ros.cli import record
from viva_ros.cli.record import parse_seeds
from viva_ros.console import program
from viva_ros.console.terminal import Terminal
from viva_ros.core.detection.thresholds import calibration_file
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.data.open import inside
from viva_ros.data.split import VALIDATION, split
from viva_ros.engine.manifest import read_calibration, read_manifest
from viva_ros.evaluation.run import read_identities

RESULTS: Final = Path(__file__).parent / 'results'
ENGINE: Final = Path(__file__).parents[1] / 'engines' / 'viperx'
FOLDERS: Final = {'training': 'train'}  # of sets whose folder has another name
EPISODE: Final = re.compile(r'episode_(\d+)')

Seeds = Mapping[str, frozenset[int]]  # by task


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('python -m benchmarks.seeds', description=__doc__)
    parser.add_argument('recordings', type=Path, nargs='?', help='Folder of the recordings')
    parser.add_argument(
        '--record', nargs='+', default=[], metavar='SET', help='Sets to record into RECORDINGS'
    )
    args = parser.parse_args(argv)
    sets, retired, results = read(RESULTS / 'seeds.json')
    selection = read_selection(RESULTS / 'seeds.json')
    if args.record:
        return record_all(args.record, sets, args.recordings or Path('recordings'))
    faults = [*overlaps(sets, retired), *wrong_results(sets, results, RESULTS)]
    if args.recordings is not None:
        faults += wrong_recordings(sets, args.recordings)
        faults += wrong_selection(selection, args.recordings)
        faults += wrong_calibrations(ENGINE, args.recordings / 'calibration')
    faults += outside(selection, sets['training'])
    if faults:
        raise RecordingError('seeds-mixed', '\n'.join(faults))
    counts = {name: sum(map(len, seeds.values())) for name, seeds in sets.items()}
    shown = ', '.join(f'{name} {count}' for name, count in counts.items())
    held = sum(map(len, selection.values()))
    Terminal().print(
        f'seeds without overlap: {shown}; {held} of training are the selection', highlight=False
    )
    return 0


def record_all(names: Sequence[str], sets: Mapping[str, Seeds], folder: Path) -> int:
    """
    Record the missing episodes of sets, by the command in the file.

    :raises ConfigurationError: if a set is unknown
    :raises RecordingError: if a folder holds other seeds
    """
    if unknown := sorted(set(names) - set(sets)):
        raise ConfigurationError(
            'seeds-set', f'--record is {", ".join(unknown)}, must be some of {", ".join(sets)}'
        )
    for name, command, task, seeds in commands(RESULTS / 'seeds.json'):
        if name in names:
            words = [
                {'TASK': task, 'SEEDS': seeds}.get(word, word) for word in command.split()[2:-1]
            ]
            record.main([*words, str(folder / FOLDERS.get(name, name) / task)])
    if faults := list(wrong_recordings({name: sets[name] for name in names}, folder)):
        raise RecordingError('seeds-mixed', '\n'.join(faults))
    return 0


def commands(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield set, command, task and seeds of each folder of recordings."""
    content = json.loads(path.read_text(encoding='utf-8'))
    for name, one in content['sets'].items():
        for task, seeds in one['seeds'].items():
            yield name, one['record'], task, seeds


def read(path: Path) -> tuple[dict[str, Seeds], dict[str, Seeds], dict[str, str]]:
    """Return the seeds of the sets and of the retired sets, and the set of each result file."""
    content = json.loads(path.read_text(encoding='utf-8'))
    sets = {name: _seeds(one['seeds']) for name, one in content['sets'].items()}
    retired = {name: _seeds(one) for name, one in content['retired'].items()}
    return sets, retired, content['results']


def read_selection(path: Path) -> Seeds:
    """Return the training seeds that select the best state and train no weights."""
    return _seeds(json.loads(path.read_text(encoding='utf-8'))['selection']['seeds'])


def _seeds(texts: Mapping[str, str]) -> Seeds:
    return {task: frozenset(parse_seeds(text)) for task, text in texts.items()}


def overlaps(sets: Mapping[str, Seeds], retired: Mapping[str, Seeds]) -> Iterator[str]:
    """Yield the seeds of a task that two sets share; retired sets may share among themselves."""
    everything = {**sets, **{f'retired: {name}': one for name, one in retired.items()}}
    for (one, ours), (other, theirs) in combinations(everything.items(), 2):
        if one not in sets and other not in sets:
            continue
        for task in sorted(ours.keys() & theirs.keys()):
            if both := sorted(ours[task] & theirs[task]):
                yield f'{one} and {other} share {len(both)} seeds of {task}, such as {both[0]}'


def wrong_results(
    sets: Mapping[str, Seeds], results: Mapping[str, str], folder: Path
) -> Iterator[str]:
    """Yield result files that are missing, or whose episodes are not those of their set."""
    for name, of_set in results.items():
        if not (folder / name).is_file():
            yield f'{name} of the set {of_set} is missing in {folder}'
            continue
        used = _used(json.loads((folder / name).read_text(encoding='utf-8')))
        yield from _compared(name, used, of_set, sets[of_set])


def _used(content: Mapping[str, Any]) -> dict[str, set[int]]:
    """Return the seeds of the episodes that a result file lists, by task."""
    rows = content.get('each') or next(iter(content.get('episodes', {}).values()), [])
    found: dict[str, set[int]] = {}
    for row in rows:
        if number := EPISODE.match(row['name']):
            found.setdefault(row['task'], set()).add(int(number[1]))
    return found


def wrong_recordings(sets: Mapping[str, Seeds], folder: Path) -> Iterator[str]:
    """Yield the subfolders whose recordings are not those of their set."""
    for name, seeds in sets.items():
        place = folder / FOLDERS.get(name, name)
        yield from _compared(str(place), _in_recordings(inside(place), seeds), name, seeds)


def wrong_calibrations(engine: Path, folder: Path) -> Iterator[str]:
    """
    Yield the calibrations of an engine with episodes that are not in a folder.

    :param folder: of the set 'calibration', with a subfolder for each task
    """
    for task in read_manifest(engine).tasks:
        made = read_calibration(calibration_file(engine, task))
        recorded = frozenset[str]().union(*read_identities(inside(folder / task)).values())
        if made.episode_identities is None:
            yield f'the calibration of {engine} for {task} does not list its episodes'
        elif foreign := set(made.episode_identities) - recorded:
            yield (
                f'the calibration of {engine} for {task} has {len(foreign)} identities of '
                f'episodes outside of {folder / task}: {min(foreign)} ...'
            )


def outside(selection: Seeds, training: Seeds) -> Iterator[str]:
    """Yield the tasks with seeds of the selection that are none of the training."""
    for task, seeds in sorted(selection.items()):
        if foreign := sorted(seeds - training.get(task, frozenset())):
            yield f'selection has {len(foreign)} seeds of {task} outside of training: {foreign[0]}'


def wrong_selection(selection: Seeds, folder: Path) -> Iterator[str]:
    """Yield how the recordings that a training on a folder holds out differ from the selection."""
    found = _in_recordings(split(folder)[VALIDATION], selection)
    yield from _compared(f'the part {VALIDATION} of {folder}', found, 'selection', selection)


def _in_recordings(paths: Iterable[Path], tasks: Iterable[str]) -> dict[str, set[int]]:
    """Return the seeds in the names of recordings, by the name of their folder."""
    found: dict[str, set[int]] = {task: set() for task in tasks}
    for path in paths:
        if number := EPISODE.match(path.stem):
            found.setdefault(path.parent.name, set()).add(int(number[1]))
    return found


def _compared(place: str, found: Mapping[str, set[int]], name: str, seeds: Seeds) -> Iterator[str]:
    for task in sorted({*found, *seeds}):
        here, expected = found.get(task, set()), seeds.get(task, frozenset())
        if foreign := sorted(here - expected):
            yield f'{place} has {len(foreign)} seeds of {task} outside of {name}: {foreign[0]} ...'
        if missing := sorted(expected - here):
            yield f'{place} lacks {len(missing)} seeds of {task} of {name}: {missing[0]} ...'


SEEDS: Final = program.ConsoleProgram('python -m benchmarks.seeds')

if __name__ == '__main__':
    raise SystemExit(program.run(SEEDS, main, is_process=True))
