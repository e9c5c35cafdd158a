# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps of rows from timestamps and from a rate."""

import numpy as np
import pytest

from viva_ros.data.row_times import index_times, timestamp_stamps

pytestmark = pytest.mark.fast


def test_stamps_by_index_do_not_drift() -> None:
    stamps = index_times(5, 30.0, 3001)
    assert stamps[1] == 33_333_338 and stamps[3000] == 100_000_000_005


@pytest.mark.parametrize(('values', 'unit', 'expected'), [
    (np.array([0.0, 0.5]), '', [1_000_000_000, 1_500_000_000]),
    (np.array([2.0, 2.5]), '', [2_000_000_000, 2_500_000_000]),
    (np.array([0, 20]), 'ms', [1_000_000_000, 1_020_000_000]),
    (np.array([0, 20]), ' Milliseconds', [1_000_000_000, 1_020_000_000]),
    (np.array([10**18 + 1, 10**18 + 10**7]), '', [10**18 + 1, 10**18 + 10**7]),
    (np.array([3, 1, 5]) * 10**9, 'ns', [3 * 10**9, 10**9, 5 * 10**9]),  # the caller refuses it
])  # fmt: skip
def test_unit_is_stated_or_found(values: np.ndarray, unit: str, expected: list[int]) -> None:
    assert timestamp_stamps('t', values, unit) == (expected, '')


@pytest.mark.parametrize(('values', 'unit', 'text'), [
    (np.array([0, 20]), '', 'the unit of t is unknown: rows are 20 apart'),
    (np.array([0.0]), '', 'the unit of t is unknown'), (np.array([0.0, 0.0]), '', 'rows are 0'),
    (np.array([0.0, 0.1]), 'ticks', "it is 'ticks', must be one of s, sec"),
    (np.array([0.0, np.nan, 0.1]), '', 't of row 1 is nan'),
    (np.array([-0.5, 0.0]), '', 't has negative values'),
    (np.array(['a', 'b']), '', 'must have numbers'),
    (638 * 10**15 + np.arange(5) * 10**6, '', 'rows are 1e+06 apart'),  # 100 ns, at 10 Hz
    (np.arange(5) * 1e-3 + 1.0, '', 'rows are 0.001 apart'),
    (10**18 + np.arange(5) * 10**8, 's', 't has 1e+18 s, too large for its unit'),
    (1e18 + np.arange(5) * 1e8, 's', 't has 1e+18 s, too large for its unit'),
])  # fmt: skip
@pytest.mark.filterwarnings('error')
def test_doubtful_timestamps_have_a_reason(values: np.ndarray, unit: str, text: str) -> None:
    stamps, reason = timestamp_stamps('t', values, unit)
    assert stamps is None and text in reason
