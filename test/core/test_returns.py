# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.core.returns import (
    latent_from_value,
    progress,
    return_from_value,
    returns,
    value_from_return,
)


def test_returns_of_a_success_with_four_steps() -> None:
    assert returns(4, success=True).tolist() == [0.75, 0.5, 0.25, 0.0]


def test_failure_adds_1_to_the_return_of_every_step() -> None:
    assert returns(4, success=False).tolist() == [1.75, 1.5, 1.25, 1.0]


def test_value_of_a_success_equals_its_progress() -> None:
    assert value_from_return(returns(4, success=True)).tolist() == [0.25, 0.5, 0.75, 1.0]
    assert value_from_return(returns(4, success=False)).tolist() == [-0.75, -0.5, -0.25, 0.0]
    np.testing.assert_array_equal(progress(4), value_from_return(returns(4, success=True)))


def test_latent_is_the_return_minus_1() -> None:
    for success in (True, False):
        returned = returns(5, success)
        latent = latent_from_value(value_from_return(returned))
        np.testing.assert_allclose(latent, returned - 1.0)
        assert latent.min() >= -1.0 and latent.max() < 1.0


@given(st.floats(-1, 1))
def test_value_from_return_inverts_return_from_value(value: float) -> None:
    assert value_from_return(return_from_value(value)) == pytest.approx(value, abs=1e-15)


@given(st.integers(1, 500), st.booleans())
def test_returns_fall_within_their_unit_interval(length: int, success: bool) -> None:
    returned = returns(length, success)
    assert returned.shape == (length,)
    base = 0.0 if success else 1.0
    assert returned[-1] == base and np.all(returned < base + 1.0)
    assert np.all(np.diff(returned) < 0.0)


def test_returns_of_an_empty_episode_raise_value_error() -> None:
    with pytest.raises(ValueError, match='length is 0, must be at least 1'):
        returns(0, success=True)
