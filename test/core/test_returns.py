# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.core.returns import (
    attempt_returns,
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


def test_joined_episode_has_failed_attempt_way_home_and_retry() -> None:
    returned, failed = attempt_returns(9, success=True, retry=2, attempt=5)
    # A failed attempt of 2 steps, a way home of 3, and an attempt of 4: the remaining part of the
    # way home is 1 at the step before the attempt, and 1/4 more for each step before it.
    assert returned.tolist() == [1.5, 1.0, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25, 0.0]
    assert failed.tolist() == [True, True, *[False] * 7]


def test_failed_retry_stays_at_a_return_of_at_most_2() -> None:
    returned, failed = attempt_returns(5, success=False, attempt=3)
    assert returned.tolist() == [2.0, 2.0, 2.0, 1.5, 1.0]
    assert failed.all()


@given(st.integers(1, 300), st.booleans())
def test_episode_without_retry_has_its_plain_returns(length: int, success: bool) -> None:
    returned, failed = attempt_returns(length, success)
    np.testing.assert_array_equal(returned, returns(length, success))
    assert failed.tolist() == [not success] * length


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 60))
def test_value_rises_through_way_home_and_retry(retry: int, way: int, last: int) -> None:
    returned, _ = attempt_returns(retry + way + last, True, retry, retry + way)
    steps = np.diff(returned[retry:])
    capped = returned[retry:][:-1] >= 2.0
    np.testing.assert_allclose(steps[~capped], -1.0 / last, atol=1e-9)


@pytest.mark.parametrize(('retry', 'attempt'), [(3, 2), (0, 4), (-1, 2), (5, 5)])
def test_attempt_outside_the_episode_raises_value_error(retry: int, attempt: int) -> None:
    with pytest.raises(ValueError, match='must be ascending and below 4'):
        attempt_returns(4, True, retry, attempt)


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
