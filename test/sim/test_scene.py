# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from viva_ros.sim.scene import add_noise

GREY = np.full((64, 64, 3), 128, dtype=np.uint8)


def test_noise_has_the_set_deviation_and_no_bias() -> None:
    noise = add_noise(GREY, 2.0, np.random.default_rng(0)).astype(float) - 128
    assert noise.std() == pytest.approx(2.0, abs=0.1)
    assert noise.mean() == pytest.approx(0.0, abs=0.1)


def test_noise_differs_between_images_of_a_still_scene() -> None:
    generator = np.random.default_rng(0)
    first, second = (add_noise(GREY, 1.0, generator) for _ in range(2))
    assert not np.array_equal(first, second)


def test_noise_is_clipped_and_zero_noise_returns_the_image() -> None:
    for level in (0, 255):
        noisy = add_noise(np.full_like(GREY, level), 5.0, np.random.default_rng(0))
        assert noisy.dtype == np.uint8
        assert np.abs(noisy.astype(int) - level).max() < 40
    assert add_noise(GREY, 0.0, np.random.default_rng(0)) is GREY
