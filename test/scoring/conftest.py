# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings to score, and the options."""

from pathlib import Path

import pytest
from support.recordings import write_recording

from viva_ros.data.open import resolve
from viva_ros.scoring.jobs import ScoreJob, ScoreOptions


@pytest.fixture
def score_options(small_engine: Path) -> ScoreOptions:
    return ScoreOptions(str(small_engine), 'tray_lift', None, 10.0, 1, '', 'viva score')


@pytest.fixture
def jobs(tmp_path: Path) -> list[ScoreJob]:
    """Return jobs of four recordings of three values each."""
    folder = tmp_path / 'recordings'
    folder.mkdir()
    worth = [[0.1 * n] * 3 for n in range(4)]
    paths = [write_recording(folder / f'{n}.mcap', worth[n]) for n in range(4)]
    return [ScoreJob(resolve(path), folder, path.stem) for path in paths]
