# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest

from viva_ros.core.letterbox import LetterboxArea, halvings, place


@pytest.mark.parametrize(
    ('sent', 'box', 'wanted'),
    [
        ((480, 640), (96, 96), LetterboxArea(12, 0, 72, 96)),
        ((640, 480), (96, 96), LetterboxArea(0, 12, 96, 72)),
        ((10, 10), (20, 40), LetterboxArea(0, 10, 20, 20)),
        ((1, 1000), (8, 8), LetterboxArea(3, 0, 1, 8)),  # never without a row
    ],
)
def test_image_is_centred_and_as_large_as_possible(sent, box, wanted) -> None:
    assert place(sent, box) == wanted


@pytest.mark.parametrize(
    ('sent', 'fitted', 'count'),
    [
        ((480, 640), (72, 96), 2),  # 120 x 160; 60 x 80 would be too small
        ((720, 1280), (54, 96), 3),  # 90 x 160
        ((144, 192), (72, 96), 1),
        ((143, 192), (72, 96), 0),
        ((486, 640), (60, 80), 1),  # 243 is odd
        ((50, 50), (96, 96), 0),
    ],
)
def test_image_is_halved_while_even_and_large_enough(sent, fitted, count) -> None:
    assert halvings(sent, fitted) == count
