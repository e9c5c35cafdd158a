# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Import recordings of any robot into one LeRobot dataset, and show the report."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Column, Table

from viva_ros.console.progress import bar
from viva_ros.console.provenance import command_line
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.convert import import_one, key_of, staged
from viva_ros.data.conversion.topic_map import Map
from viva_ros.data.conversion.workspace import Staging, Unit
from viva_ros.data.lerobot.layout import Shape
from viva_ros.data.lerobot.writer import Staged, assemble

MANY: Final = 60  # episodes; of more only the refused are listed


def show(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """
    List episodes, and why some were refused.

    :param rows: ``resample.Figures`` as dicts
    """
    console.print(table([row for row in rows if row['refused']] if len(rows) > MANY else rows))
    for row in rows:
        for reason in row['refused']:
            where = '' if row['source'] in reason else f'{row["source"]}: '
            console.print(f'[red]refused[/] {where}{row["name"]}: {reason}', soft_wrap=True)
        for loss in () if row['refused'] else row['losses']:
            console.print(f'{row["name"]}: {loss}', soft_wrap=True)


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Give one line an episode."""
    name = Column('episode', overflow='fold')  # names often differ at their end alone
    given = Table(name, 'frames', 's', 'rates, Hz', 'gap, s', 'skew, s', 'read', 'result')
    for row in rows:
        given.add_row(
            row['name'], str(row['frames']), f'{row["duration"]:.1f}', rates(row['streams']),
            f'{widest(row["streams"]):.3f}', f'{row["skew"]:.3f}', f'{row["readable"]:.1%}',
            'refused' if row['refused'] else 'taken',
        )  # fmt: skip
    return given


def rates(streams: Mapping[str, Any]) -> str:
    """Give the slowest stream, and the rate of the fastest."""
    found = sorted((one['rate'], name) for name, one in streams.items())
    return f'{found[0][1]} {found[0][0]:.1f} .. {found[-1][0]:.1f}' if found else ''


def widest(streams: Mapping[str, Any]) -> float:
    """Give the longest time without a message, s."""
    return max((one['gap'] for one in streams.values()), default=0.0)


REPORT: Final = 'viva/import.json'  # in the dataset

MAP_COPY: Final = 'viva/map.yaml'


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
