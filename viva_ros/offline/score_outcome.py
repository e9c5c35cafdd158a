# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked of `viva score` and what becomes of it; both travel between processes."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from viva_ros.scoring.scorer import Scores
from viva_ros.scoring.store import PROGRESS_SUFFIX, VALUES_SUFFIX

SCORED: Final = 'scored'
THERE: Final = 'there already'
FAILED: Final = 'FAILED'
STOP: Final = 'stop'  # the next recording would fare no better


@dataclass(frozen=True)
class Order:
    """
    How to score; see the options of `viva score`.

    :param engine: folder; empty for the shipped one
    :param task: empty for each recording's own
    :param corrections: topic; empty for none
    """

    engine: str
    task: str
    calibration: Path | None
    rate: float
    batch: int
    corrections: str
    command: str


@dataclass(frozen=True)
class Job:
    """A recording, and the folder and name that its tables get."""

    path: Path
    folder: Path
    name: str

    @property
    def values(self) -> Path:
        """Where the values go."""
        return self.folder / f'{self.name}{VALUES_SUFFIX}'

    @property
    def progress(self) -> Path:
        """Where the side table goes."""
        return self.folder / f'{self.name}{PROGRESS_SUFFIX}'


@dataclass(frozen=True)
class Outcome:
    """
    What became of a job; a row of the table at the end.

    :param state: one of SCORED, THERE, FAILED, STOP
    :param first: and last: known value; NaN without one
    :param text: for a person
    :param host: where it was done
    """

    path: Path
    state: str
    engine: str = ''
    task: str = ''
    episodes: int = 0
    known: int = 0
    unknown: int = 0
    alarms: int = 0
    first: float = math.nan
    last: float = math.nan
    losses: tuple[str, ...] = ()
    text: str = ''
    seconds: float = 0.0
    host: str = ''


def summary(scores: Scores, episodes: int) -> dict[str, Any]:
    """Count what came out."""
    known = [sample.value for sample in scores.samples if math.isfinite(sample.value)]
    ends = (known[0], known[-1]) if known else (math.nan, math.nan)
    return {
        'episodes': episodes, 'known': len(known), 'unknown': len(scores.samples) - len(known),
        'alarms': len(scores.alarms), 'first': ends[0], 'last': ends[1],
    }  # fmt: skip


def describe(scores: Scores) -> str:
    """Say in lines what a count does not: the alarms, and what was published."""
    begin = scores.samples[0].stamp if scores.samples else 0
    lines = [f'{(e.stamp - begin) * 1e-9:6.2f} s {e.kind}: {e.text}' for e in scores.alarms]
    if scores.difference is not None:
        lines.append(f'largest difference from the published values: {scores.difference:.2g}')
    if scores.lost:
        lines.append(f'{scores.lost} published values are of inputs that were not recorded')
    if scores.alarms_said is not None:
        same = [(e.kind, e.onset) for e in scores.alarms]
        published = [(e.kind, e.onset) for e in scores.alarms_said]
        verdict = 'the same' if same == published else 'NOT the same'
        lines.append(f'{len(published)} alarms were published, {verdict}')
    return '\n'.join(lines)
