# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest
import torch
from torch import Tensor

from viva_ros.model.viva import denoise, draw_tau, flow_velocity, interpolate, shift_tau


def test_tau_zero_is_clean_and_tau_one_is_noise() -> None:
    clean, noise = torch.tensor([[2.0], [2.0], [2.0]]), torch.tensor([[10.0], [10.0], [10.0]])
    path = interpolate(clean, noise, torch.tensor([0.0, 0.25, 1.0]))
    assert path.flatten().tolist() == [2.0, 4.0, 10.0]


def test_velocity_is_noise_minus_clean() -> None:
    assert flow_velocity(torch.tensor(2.0), torch.tensor(10.0)) == 8.0


def test_shift_five_maps_a_half_to_five_sixths() -> None:
    shifted = shift_tau(torch.tensor([0.0, 0.5, 1.0]), 5.0)  # 5 * .5 / (1 + 4 * .5)
    assert shifted.tolist() == pytest.approx([0.0, 5 / 6, 1.0])


def test_noise_share_of_samples_is_pure_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    tau = draw_tau(4000, 5.0, 0.5, generator)
    assert ((tau >= 0) & (tau <= 1)).all()
    assert float((tau == 1).float().mean()) == pytest.approx(0.5, abs=0.03)
    # Mean of 5s/(1+4s) over uniform s: 5/4 - 5/16 ln 5 = 0.7471
    others = draw_tau(4000, 5.0, 0.0, generator)
    assert float(others.mean()) == pytest.approx(0.7471, abs=0.01)


def test_one_step_subtracts_the_velocity_at_pure_noise() -> None:
    visited: list[tuple[float, float]] = []

    def velocity(z: Tensor, tau: Tensor) -> Tensor:
        visited.append((float(z), float(tau)))
        return torch.tensor([3.0])

    assert denoise(velocity, torch.tensor([5.0]), 1, 5.0) == 2.0
    assert visited == [(5.0, 1.0)]


# Shifted: 5 s / (1 + 4 s) of s = .75, .5, .25; the path from 9 to 1 is at 1 + 8 tau.
@pytest.mark.parametrize(
    ('shift', 'levels'), [(1.0, [1.0, 0.75, 0.5, 0.25]), (5.0, [1.0, 0.9375, 5 / 6, 0.625])]
)
def test_euler_steps_visit_the_levels_of_training(shift: float, levels: list[float]) -> None:
    clean, noise = torch.tensor([1.0]), torch.tensor([9.0])
    visited: list[tuple[float, float]] = []

    def velocity(z: Tensor, tau: Tensor) -> Tensor:
        # The field of a single clean point: at z and tau it points from it.
        visited.append((float(tau), float(z)))
        torch.testing.assert_close(z, interpolate(clean, noise, tau))
        return (z - clean) / tau

    assert denoise(velocity, noise, 4, shift) == pytest.approx(1.0)
    assert [tau for tau, _ in visited] == pytest.approx(levels)
    assert [z for _, z in visited] == pytest.approx([1.0 + 8.0 * tau for tau in levels])


def test_zero_denoising_steps_are_refused() -> None:
    with pytest.raises(ValueError, match='denoising steps are 0'):
        denoise(lambda z, tau: z, torch.zeros(1), 0, 5.0)
