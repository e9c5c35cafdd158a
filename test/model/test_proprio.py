# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest
import torch

from viva_ros.core.normalize import JointRanges
from viva_ros.model.proprio import ProprioModel

RANGES = JointRanges(('a', 'b'), (0.0, 5.0), (2.0, 5.0))


def still(value: float, forecast: list[float]) -> ProprioModel:
    """Return a model with constant outputs."""
    model = ProprioModel(RANGES, 1)
    with torch.no_grad():
        model.layers[-1].weight.zero_()
        model.layers[-1].bias.copy_(torch.tensor([value, *forecast]))
    return model


def test_value_and_forecast_are_in_robot_units() -> None:
    task = torch.zeros(1, dtype=torch.long)
    value, forecast = still(0.3, [0.5, 0.9])(torch.tensor([[1.0, 5.0]]), task)
    assert value.item() == pytest.approx(0.3)
    assert forecast[0].tolist() == pytest.approx([1.5, 5.0])  # 0 + 1.5 / 2 * 2; b has no span


def test_value_is_clamped() -> None:
    task = torch.zeros(1, dtype=torch.long)
    assert float(still(1.7, [0.0, 0.0])(torch.tensor([[1.0, 5.0]]), task)[0]) == 1.0


def test_value_depends_on_task() -> None:
    torch.manual_seed(0)
    model, joints = ProprioModel(RANGES, 2), torch.tensor([[1.0, 5.0]])
    values = [float(model(joints, torch.tensor([task]))[0]) for task in (0, 1)]
    assert values[0] != values[1]
