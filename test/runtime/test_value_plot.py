# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np

from viva_ros.runtime.value_plot import ALERT, CURVE, draw_value


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


def test_time_runs_over_the_whole_width():
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


def test_what_is_older_than_the_span_is_left_out():
    assert not len(pixels(draw([(-30.0, 0.0), (-5.0, 0.5)], [(-5.0, 'drop')]), CURVE))
    assert not len(pixels(draw([], [(-5.0, 'drop')]), ALERT))
