# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fake robot of the supervisor tests."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.judged_robot import JudgedRobot
    from support.ros import Listener


@pytest.fixture
def robot(listener: 'Listener') -> 'JudgedRobot':
    from support.judged_robot import JudgedRobot

    return JudgedRobot(listener)
