# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva import`: bags and data sets of any robot into one LeRobot dataset (v3.0).

Recordings are brought to the rate of the map; an episode beyond its limits is refused with the
reason, never repaired. An import that was stopped goes on when run again with the same arguments.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from viva_ros.console.progress import bar
from viva_ros.console.provenance import command_line
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.data import open as sources
from viva_ros.data.conversion.annotations import Outcomes, read_table
from viva_ros.data.conversion.convert import import_one, key_of, staged
from viva_ros.data.conversion.report import show
from viva_ros.data.conversion.topic_map import Map, load_map
from viva_ros.data.conversion.workspace import Staging, Unit
from viva_ros.data.lerobot.layout import Shape
from viva_ros.data.lerobot.writer import Staged, assemble

REPORT: Final = 'viva/import.json'  # in the dataset
MAP_COPY: Final = 'viva/map.yaml'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 2 if an episode was refused."""
    args = parse(argv)
    how = load_map(args.map)
    outcomes = Outcomes(
        args.success, read_table(args.labels) if args.labels else {}, how.label_topic,
        args.task or how.task,
    )  # fmt: skip
    report = import_all(sources.find(args.sources), how, outcomes, args.out)
    console = Console(highlight=False)
    show(report['episodes'], console)
    refused = sum(bool(one['refused']) for one in report['episodes'])
    taken = len(report['episodes']) - refused
    console.print(f'{args.out}: {taken} episodes, {refused} refused', soft_wrap=True)
    return 2 if refused else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva import', description=__doc__)
    parser.add_argument('sources', type=Path, nargs='+', help='bags, data sets, or folders')
    parser.add_argument('--map', type=Path, required=True, help='YAML: rate, cameras, joints')
    parser.add_argument('--out', type=Path, required=True, help='folder of the dataset')
    parser.add_argument('--task', default='', help='where a recording does not name it')
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument(
        '--success', action='store_true', default=None, help='every episode succeeded'
    )
    outcome.add_argument('--failure', action='store_false', dest='success', help='each failed')
    outcome.add_argument('--labels', type=Path, help='CSV: file,success[,failure,task]')
    return parser.parse_args(argv)


def import_all(paths: Sequence[Path], how: Map, outcomes: Outcomes, out: Path) -> dict[str, Any]:
    """
    Import recordings into a new dataset.

    :returns: the report, as it lies in the dataset
    :raises RecordingError: if no episode could be taken, or the disk is full
    """
    keys = [key_of(path, how, outcomes) for path in paths]
    made_of = hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]
    if out.exists():
        return _there_already(out, made_of)
    staging = Staging(out)
    with staging.locked():
        units = [
            import_one(path, how, outcomes, staging)
            for path in bar(paths, 'importing', total=len(paths))
        ]
        episodes, shape = fit(units)
        rows = [row for unit in units for row in unit.figures]
        if shape is None:
            show(rows, Console(highlight=False))
            raise RecordingError(
                f'no episode of {len(paths)} recordings could be taken, and {out} is not made: '
                'see the reasons above'
            )
        report = {
            'format': 'viva_ros import 1', 'made_of': made_of, 'command': command_line('import'),
            'rate': how.rate, 'limits': asdict(how.limits), 'episodes': rows,
        }  # fmt: skip
        _finish(staging, episodes, shape, how, report)
    return report


def fit(units: Sequence[Unit]) -> tuple[list[Staged], Shape | None]:
    """
    Pick the episodes that have cameras, sizes and joints in common with the first.

    The figures of the others get the reason.
    """
    shape: Shape | None = None
    taken: list[Staged] = []
    for unit in units:
        accepted = [row for row in unit.figures if not row['refused']]
        for row, episode in zip(accepted, unit.episodes, strict=True):
            own = Shape.from_dict(episode['shape'])
            shape = shape or own
            difference = shape.difference(own)
            if difference:
                row['refused'] = [f'has {difference}: import it into a dataset of its own']
            else:
                taken.append(staged(unit, episode))
    return taken, shape


def _finish(
    staging: Staging, episodes: Sequence[Staged], shape: Shape, how: Map, report: dict[str, Any]
) -> None:
    """Put the dataset together and give it its name."""
    try:
        staging.clear_dataset()
        assemble(staging.dataset, episodes, shape, how.robot)
        (staging.dataset / REPORT).parent.mkdir()
        write_atomically(staging.dataset / REPORT, json.dumps(report, indent=1))
        write_atomically(staging.dataset / MAP_COPY, how.text)
        staging.commit()
    except OSError as error:
        raise RecordingError(
            f'{staging.dataset} cannot be written ({error}): make room, and run the same command '
            'again; what is finished is kept'
        ) from error


def _there_already(out: Path, made_of: str) -> dict[str, Any]:
    """Give the report of a dataset made of the same; refuse any other."""
    try:
        report = json.loads((out / REPORT).read_text(encoding='utf-8'))
        if report['made_of'] == made_of:
            return dict(report)
    except (OSError, ValueError, KeyError):
        pass
    raise ConfigurationError(
        f'{out} is there already, and is not made of these recordings, map and labels: choose '
        'another --out'
    )
