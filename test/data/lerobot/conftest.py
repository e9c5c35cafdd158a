# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A LeRobot dataset of version 2.1."""

from pathlib import Path

import pytest
from support.foreign_robot import write_old_lerobot_dataset


@pytest.fixture
def old_lerobot_dataset(tmp_path: Path) -> Path:
    return write_old_lerobot_dataset(tmp_path / 'old')
