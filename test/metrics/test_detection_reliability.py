# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.metrics.detection import reliability


def test_bins_have_predicted_and_observed_shares() -> None:
    found = reliability([0.1, 0.3, 0.9, 1.0], [False, True, True, True], bins=2)
    assert found.counts.tolist() == [2, 2]
    assert found.predicted.tolist() == pytest.approx([0.2, 0.95])
    assert found.observed.tolist() == pytest.approx([0.5, 1.0])
    assert found.error == pytest.approx(0.5 * 0.3 + 0.5 * 0.05)
    assert found.brier == pytest.approx((0.01 + 0.49 + 0.01 + 0.0) / 4)


def test_weights_give_episodes_equal_influence() -> None:
    found = reliability([0.2, 0.2, 0.4], [True, True, False], [0.5, 0.5, 1.0], bins=1)
    assert found.predicted.tolist() == pytest.approx([0.3])
    assert found.observed.tolist() == pytest.approx([0.5])
    assert found.error == pytest.approx(0.2)


def test_empty_bins_are_nan_and_add_no_error() -> None:
    found = reliability([0.05], [False], bins=10)
    assert np.isnan(found.predicted[1:]).all()
    assert found.error == pytest.approx(0.05)


@pytest.mark.parametrize('probability', [[1.1], [-0.1], [float('nan')]])
def test_probability_out_of_range_raises_value_error(probability: list[float]) -> None:
    with pytest.raises(ValueError, match=r'must be in \[0, 1\]'):
        reliability(probability, [True])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_calibration_error_and_brier_are_in_0_to_1(pairs: list[tuple[float, bool]]) -> None:
    found = reliability([p for p, _ in pairs], [y for _, y in pairs])
    assert 0.0 <= found.error <= 1.0 + 1e-12
    assert 0.0 <= found.brier <= 1.0
    assert found.counts.sum() == pytest.approx(len(pairs))
