# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.nodes.value_image import (
    ALERT,
    BACKGROUND,
    BOTTOM,
    CURVE,
    LEFT,
    LONGEST,
    RIGHT,
    SIZE,
    TOP,
    draw_value,
    lay_out,
)  # fmt: skip

KINDS = ('drop', 'forecast_residual', 'needs_operator', 'no_rise', 'silence', 'Größe', 'x' * 99)
ALERTS = st.lists(
    st.tuples(st.integers(LEFT, SIZE[1] - RIGHT), st.sampled_from(KINDS)), max_size=40
)


def pixels(image, colour):
    """Rows and columns of a colour."""
    return np.argwhere((image == colour).all(axis=2))


def draw(samples, alerts=(), now=20.0):
    return draw_value(samples, alerts, now, span=20.0, title='')


def test_a_value_of_0_is_in_the_middle_and_1_at_the_top():
    middle = pixels(draw([(0.0, 0.0), (20.0, 0.0)]), CURVE)
    top = pixels(draw([(0.0, 1.0), (20.0, 1.0)]), CURVE)
    # 240 rows less 22 above and 18 below leave 200: 1 is at row 22, 0 at row 122.
    assert abs(np.median(middle[:, 0]) - 122) <= 1
    assert abs(np.median(top[:, 0]) - 22) <= 1


def test_time_axis_spans_the_whole_width():
    columns = pixels(draw([(0.0, 0.0), (20.0, 0.0)]), CURVE)[:, 1]
    # 480 columns less 36 at the left and 8 at the right.
    assert abs(columns.min() - 36) <= 2 and abs(columns.max() - 472) <= 2


def test_an_unknown_value_leaves_a_gap():
    image = draw([(0.0, 0.0), (5.0, 0.0), (10.0, math.nan), (15.0, 0.0), (20.0, 0.0)])
    columns = set(pixels(image, CURVE)[:, 1].tolist())
    # 10 s is the middle: column 36 + 436 / 2 = 254.
    assert not columns & set(range(160, 350))
    assert columns & set(range(40, 140)) and columns & set(range(370, 470))


def test_an_alert_is_a_vertical_line_at_its_time():
    image = draw([], [(10.0, 'drop')])
    column = pixels(image, ALERT)[:, 1]
    assert np.bincount(column).argmax() == 254


def test_samples_older_than_the_span_are_left_out():
    assert not len(pixels(draw([(-30.0, 0.0), (-5.0, 0.5)], [(-5.0, 'drop')]), CURVE))
    assert not len(pixels(draw([], [(-5.0, 'drop')]), ALERT))


def assert_apart(labels):
    for one, other in combinations(labels, 2):
        left, right = sorted((one.box, other.box))
        across = right[0] < left[2]
        down = max(left[1], right[1]) < min(left[3], right[3])
        assert not (across and down), f'{one} and {other}'


@pytest.mark.medium
@given(ALERTS)
def test_labels_neither_overlap_nor_leave_the_plot(alerts):
    labels = lay_out(sorted(alerts))
    assert_apart(labels)
    for label in labels:
        left, top, right, bottom = label.box
        assert LEFT <= left < right <= SIZE[1] - RIGHT
        assert TOP <= top < bottom <= SIZE[0] - BOTTOM


def test_twelve_alerts_at_one_moment_all_have_a_label():
    labels = lay_out([(200, f'kind_{number}') for number in range(12)])
    assert_apart(labels)
    assert [label.text for label in labels] == [f'kind_{number}' for number in range(11, -1, -1)]
    assert len({label.box[1] for label in labels}) == 12, 'one row each'


def test_the_newest_alert_has_the_row_at_the_top():
    labels = {label.text: label.box for label in lay_out([(200, 'old'), (201, 'new')])}
    assert labels['new'][1] < labels['old'][1]


def test_alerts_far_from_each_other_share_a_row():
    assert len({label.box[1] for label in lay_out([(50, 'drop'), (200, 'stall')])}) == 1


def test_label_is_right_of_its_line_and_left_at_the_edge():
    ((_, first), (_, last)) = (
        (label.text, label.box) for label in lay_out([(470, 'drop'), (50, 'x')])
    )
    assert first[0] > 50 and last[2] <= 470


def test_alerts_without_room_are_counted():
    crowd = [(10.0, f'kind_{number}') for number in range(40)]
    labels = lay_out([(254, kind) for _, kind in crowd])
    assert 0 < len(labels) < 40
    below = draw([], crowd)[SIZE[0] - BOTTOM :, : SIZE[1] // 2]
    assert len(pixels(below, ALERT)), 'says how many have no label'
    assert not len(pixels(draw([], crowd[:3])[SIZE[0] - BOTTOM :, : SIZE[1] // 2], ALERT))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('now', [10.5, 20.0, 29.9])
def test_a_label_is_drawn_within_its_box(kind, now):
    image = draw([], [(10.0, kind)], now)
    changed = np.argwhere((image != draw([], [], now)).any(axis=2))
    column = round(LEFT + (SIZE[1] - LEFT - RIGHT) * (1.0 - (now - 10.0) / 20.0))
    (label,) = lay_out([(column, kind)])
    left, top, right, bottom = label.box
    assert len(label.text) <= LONGEST
    for row, place in changed.tolist():
        inside = left <= place < right and top <= row < bottom
        assert inside or abs(place - column) <= 1
    assert (image[top:bottom, left:right] == BACKGROUND).all(axis=2).any()
