# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Training labels: return, value and latent from the outcome of an episode (arXiv 2604.08168).

Cost-to-go G falls with progress; the value V = 1 - G rises towards success. Each sign is defined
here only.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.observation import Array

Number = TypeVar('Number', float, Array)


def progress(length: int) -> Array:
    """
    Return the elapsed share of an episode at each step: t / T for t = 1 .. T.

    :returns: (length,), in (0, 1]
    :raises ValueError: if length is below 1
    """
    if length < 1:
        raise ValueError(f'length is {length}, must be at least 1')
    return np.arange(1, length + 1, dtype=np.float64) / length


def returns(length: int, success: bool) -> Array:
    """
    Return the return of each step t = 1 .. T: G[t] = (T - t) / T, plus 1 on failure.

    :returns: (length,); in [0, 1) on success, in [1, 2) on failure
    :raises ValueError: if length is below 1
    """
    return 1.0 - progress(length) + (0.0 if success else 1.0)


def attempt_returns(
    length: int, success: bool, retry: int = 0, attempt: int = 0
) -> tuple[Array, NDArray[np.bool_]]:
    """
    Return the return of each step of an episode that holds a retry, and whether its attempt fails.

    The steps before ``retry`` are a failed attempt, those from ``attempt`` on the last one, and
    between them the robot goes home. On the way home the remaining part is that of the last
    attempt plus the time to its start, in units of its duration: G = 1 + (attempt - t) / T with T
    of the last attempt, so that the value rises at one slope through both. G is at most 2.

    :param retry: first step after the failed attempt; 0 without one
    :param attempt: first step of the last attempt, at least ``retry``, below ``length``
    :returns: G in [0, 2], (length,); whether the attempt of the step fails, (length,)
    :raises ValueError: if a step is out of range
    """
    if not 0 <= retry <= attempt < length:
        raise ValueError(
            f'retry is {retry}, attempt {attempt}, must be ascending and below {length}'
        )
    last = length - attempt
    way = 1.0 + np.arange(attempt - retry - 1, -1, -1, dtype=np.float64) / last
    parts = [returns(retry, False)] if retry else []
    parts += [way + (0.0 if success else 1.0), returns(last, success)]
    failed = np.full(length, not success)
    failed[:retry] = True
    return np.minimum(np.concatenate(parts), 2.0), failed


def value_from_return(returned: Number) -> Number:
    """V = 1 - G."""
    return 1.0 - returned


def return_from_value(value: Number) -> Number:
    """G = 1 - V."""
    return 1.0 - value


def latent_from_value(value: Number) -> Number:
    """Latent v = G - 1 = -V, in [-1, 1)."""
    return -value
