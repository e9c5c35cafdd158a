# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small model with random weights, so that each part affects the outputs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from viva_ros.core.normalize import JointRanges
from viva_ros.model.config import preset
from viva_ros.model.viva import ViVa

JOINTS = ('left_waist', 'left_gripper', 'right_waist')
RANGES = JointRanges(JOINTS, (-1.0, 0.0, 2.0), (1.0, 0.5, 2.0))  # the last has no span


@pytest.fixture(autouse=True)
def in_one_thread(one_thread: None) -> None:
    """Compute sums in one order, as tests compare floats."""


@pytest.fixture
def make_viva() -> Callable[..., ViVa]:
    def make(**changes: Any) -> ViVa:
        torch.manual_seed(3)
        config = preset('tiny', ('head', 'left_wrist', 'right_wrist'), JOINTS, ('lift', 'pass'))
        model = ViVa(replace(config, **changes), RANGES).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
            model.latents_mean.normal_()
            model.latents_std.uniform_(0.5, 2.0)
        return model

    return make


@pytest.fixture
def viva(make_viva: Callable[..., ViVa]) -> ViVa:
    return make_viva()
