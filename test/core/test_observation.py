# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from viva_ros.core.inputs import Selection
from viva_ros.core.observation import Observation

STAMPS = {'head': 5_000_000_000, 'left_wrist': 4_960_000_000, 'joint_states': 4_980_000_000}


def test_observation_stamp_is_newest_and_skew_covers_all() -> None:
    observation = Observation({}, {}, STAMPS)
    assert observation.stamp == 5_000_000_000
    assert observation.skew == pytest.approx(0.04)


def test_selection_with_images_becomes_an_observation() -> None:
    images = {'head': np.zeros((2, 2, 3), np.uint8)}
    selection = Selection({'head': b'jpeg'}, {'waist': 0.1}, STAMPS)
    observation = selection.observation(images)
    assert observation.images is images
    assert observation.proprio == {'waist': 0.1}
    assert (observation.stamp, observation.skew) == (selection.stamp, selection.skew)
