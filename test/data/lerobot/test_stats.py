# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of colours from counts equal those of all pixels."""

import numpy as np
import pytest

from viva_ros.data.lerobot.stats import PIXEL_STEP, ColourHistogram, of_rows


@pytest.mark.parametrize('count', [1, 2, 7])
def test_colour_counts_give_the_statistics_of_all_pixels(count: int) -> None:
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 30, 41, 3), dtype=np.uint8)
    images[0, :, :, 2] = 9
    histogram = ColourHistogram()
    for image in images:
        histogram.add(image)
    found = histogram.statistics()
    pixels = images[:, ::PIXEL_STEP, ::PIXEL_STEP].reshape(-1, 3) / 255.0
    expected = of_rows(pixels)
    assert found.keys() == expected.keys()
    assert found['count'].tolist() == [count]
    for name in expected.keys() - {'count'}:
        assert found[name].shape == (3, 1, 1)
        np.testing.assert_allclose(found[name].ravel(), expected[name], atol=1e-12, err_msg=name)


def test_colour_counts_of_one_pixel_are_its_colour() -> None:
    histogram = ColourHistogram()
    histogram.add(np.array([[[0, 51, 255]]], dtype=np.uint8))
    found = histogram.statistics()
    for name in ('min', 'max', 'mean', 'q01', 'q50', 'q99'):
        assert found[name].ravel() == pytest.approx([0.0, 0.2, 1.0])
    assert found['std'].ravel() == pytest.approx([0.0] * 3)
