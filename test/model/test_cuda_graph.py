# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from viva_ros.core.letterbox import area_weights
from viva_ros.engine.preprocessing import letterbox
from viva_ros.model.cuda_graph import Fit, line_weights

CPU = torch.device('cpu')
SIDES = st.integers(8, 200)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + random.normal(0.0, 20.0, smooth.shape), 0, 255).astype(np.uint8)


def test_area_weights_from_three_to_two_pixels() -> None:
    # Each of the two is 1.5 wide: one pixel and half of the middle one.
    assert area_weights(3, 2).tolist() == pytest.approx(
        np.array([[2 / 3, 1 / 3, 0.0], [0.0, 1 / 3, 2 / 3]])
    )


def test_line_weights_from_two_to_four_pixels() -> None:
    # Centres lie at -0.25 (taken as 0), 0.25, 0.75 and 1.25 (taken as 1).
    expected = [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    assert line_weights(2, 4).tolist() == expected


@settings(deadline=None)
@given(height=SIDES, width=SIDES, rows=SIDES, columns=SIDES)
def test_gpu_letterbox_equals_cpu_up_to_rounding(
    height: int, width: int, rows: int, columns: int
) -> None:
    sent, size = picture(height, width), (rows, columns)
    found = Fit(size, CPU)([[sent]])[0, 0].numpy()
    assert found.shape == (*size, 3) and found.dtype == np.uint8
    # OpenCV rounds after each halving, by at most half a level, and then once more.
    assert np.abs(found.astype(int) - letterbox(sent, size)).max() <= 2


def test_views_of_any_size_keep_their_order() -> None:
    fit, size = Fit((12, 16), CPU), (12, 16)
    given = [[picture(48, 64, 1), picture(12, 16, 2)], [picture(30, 30, 3), picture(5, 9, 4)]]
    for _ in range(2):  # the second call uses the buffers of the first
        found = fit(given).numpy().astype(int)
        expected = np.array([[letterbox(view, size) for view in views] for views in given])
        assert np.abs(found - expected).max() <= 2
    np.testing.assert_array_equal(found[0, 1], given[0][1])


def test_read_only_image_is_letterboxed() -> None:
    sent = np.frombuffer(picture(20, 24).tobytes(), np.uint8).reshape(20, 24, 3)[:, 4:]
    assert np.abs(Fit((10, 10), CPU)([[sent]])[0, 0].numpy().astype(int)
                  - letterbox(sent, (10, 10))).max() <= 1  # fmt: skip
