# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Training labels: return, value and latent from the outcome of an episode (arXiv 2604.08168).

Cost-to-go G falls with progress; the value V = 1 - G rises towards success. Each sign is defined
here only.
"""

from typing import TypeVar

import numpy as np

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


def value_from_return(returned: Number) -> Number:
    """V = 1 - G."""
    return 1.0 - returned


def return_from_value(value: Number) -> Number:
    """G = 1 - V."""
    return 1.0 - value


def latent_from_value(value: Number) -> Number:
    """Latent v = G - 1 = -V, in [-1, 1)."""
    return -value
