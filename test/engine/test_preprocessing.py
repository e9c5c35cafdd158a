# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.engine.preprocessing import in_blocks, letterbox, shrink


def test_image_of_target_size_is_unchanged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(letterbox(image, (4, 6)), image)


def test_shrinking_averages_areas() -> None:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    image[:2, :2, 0] = [[10, 20], [30, 40]]
    image[:2, 2:, 1] = 100
    assert letterbox(image, (2, 2)).tolist() == [[[25, 0, 0], [0, 100, 0]], [[0] * 3, [0] * 3]]


def test_wide_image_has_bars_above_and_below() -> None:
    image = np.full((2, 4, 3), 200, dtype=np.uint8)
    boxed = letterbox(image, (4, 4))
    assert boxed[:, 0, 0].tolist() == [0, 200, 200, 0]


def test_tall_image_has_bars_at_its_sides() -> None:
    image = np.full((8, 2, 3), 200, dtype=np.uint8)
    boxed = letterbox(image, (4, 4))
    assert boxed[0, :, 0].tolist() == [0, 200, 0, 0]  # 1 px wide, the middle is between pixels


@pytest.mark.parametrize('image', [
    np.zeros((4, 4), dtype=np.uint8), np.zeros((4, 4, 4), dtype=np.uint8),
    np.zeros((4, 4, 3), dtype=np.float32), np.zeros((0, 4, 3), dtype=np.uint8),
])  # fmt: skip
def test_non_rgb_array_is_refused(image: np.ndarray) -> None:
    with raises('image-type', image.dtype, image.shape, 'uint8 (H, W, 3)', of=InputError):
        letterbox(image, (4, 4))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(1, 40))
def test_letterbox_keeps_aspect_ratio_and_fills_one_side(
    height: int, width: int, rows: int, columns: int
) -> None:
    boxed = letterbox(np.full((height, width, 3), 255, dtype=np.uint8), (rows, columns))
    assert boxed.shape == (rows, columns, 3)
    lit = boxed[:, :, 0] > 0
    found = int(lit.any(axis=1).sum()), int(lit.any(axis=0).sum())
    scale = min(rows / height, columns / width)
    assert abs(found[0] - max(1, height * scale)) <= 0.5 + 1e-9
    assert abs(found[1] - max(1, width * scale)) <= 0.5 + 1e-9
    assert found[0] == rows or found[1] == columns


def test_halving_first_changes_few_levels() -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
    at_once = cv2.resize(image, (96, 72), interpolation=cv2.INTER_AREA).astype(int)
    far = np.abs(letterbox(image, (96, 96))[12:84] - at_once)
    assert far.max() <= 6 and far.mean() < 1.0


def test_block_means_equal_opencv_at_shipped_engine_sizes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    expected = cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(letterbox(image, (96, 96)), expected)


@given(
    st.tuples(st.integers(1, 16), st.integers(1, 12)),
    st.tuples(st.integers(1, 16), st.integers(1, 12)),
    st.tuples(st.integers(1, 16), st.integers(1, 16)),
    st.integers(0, 99),
)
def test_block_means_equal_opencv_up_to_rounding(rows, columns, kept, seed) -> None:
    sent = rows[0] * rows[1], columns[0] * columns[1]
    size = min(kept[0], rows[0]) * rows[1], min(kept[1], columns[0]) * columns[1]
    assert in_blocks(sent[0], size[0]) and in_blocks(sent[1], size[1])
    image = np.random.default_rng(seed).integers(0, 256, (*sent, 3), dtype=np.uint8)
    expected = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA).astype(int)
    np.testing.assert_allclose(shrink(image, size), expected, rtol=0, atol=1)


@pytest.mark.parametrize(('sent', 'fitted'), [(127, 96), (96, 128), (340, 96)])
def test_enlargement_and_large_blocks_use_opencv(sent: int, fitted: int) -> None:
    assert not in_blocks(sent, fitted)
