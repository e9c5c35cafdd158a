# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of `viva score` with known values."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viva_ros.data.episode import Label
from viva_ros.scoring.frame_index import Timeline
from viva_ros.scoring.jobs import summary
from viva_ros.scoring.scorer import ScoredSample, Scores
from viva_ros.scoring.store import header_of, values_table, with_header, write_table

EPOCH, STEP = 1_000_000_000_000, 100_000_000  # ns: frames at 10 Hz


def write_scored(
    folder: Path, name: str, values: Sequence[float], success: bool | None = True, *,
    engine: str = 'ab' * 8, task: str = 'lift', rate: float = 50.0, asked: int = 1,
    corrections: tuple[tuple[float, float], ...] = (),
    parts: Sequence[tuple[float, float]] | None = None,
) -> Path:  # fmt: skip
    """
    Write a table with a value at every ``asked``-th frame.

    :param parts: progress and success of each value; None without an outcome frame
    """
    stamps = EPOCH + np.arange(len(values), dtype=np.int64) * STEP
    label = None if success is None else Label(task, success)
    episodes = [Timeline(0, '', 0, stamps, rate, label, corrections)] if len(values) else []
    samples = tuple(
        ScoredSample(
            int(stamps[n]), values[n], '', {}, '', None,
            progress=parts[n][0] if parts else math.nan,
            success=parts[n][1] if parts else math.nan,
        )
        for n in range(0, len(values), asked)
    )  # fmt: skip
    scores = Scores(name, task, engine, samples, (), None, ())
    path = folder / f'{name}_values.parquet'
    write_table(path, with_header(values_table(scores, episodes), header(scores, episodes, name)))
    return path


def header(scores: Scores, episodes: Sequence[Timeline], name: str) -> dict[str, Any]:
    """Return the metadata that `viva score` writes for the recording NAME.mcap."""
    made_of = {'input': [f'/{name}.mcap', 0, ''], 'rate': 10.0, 'calibration': None}
    known = header_of(scores, episodes, made_of, f'viva score {name}.mcap')
    counts = summary(scores, len(episodes))
    return {**known, 'summary': {k: None if v != v else v for k, v in counts.items()}}
