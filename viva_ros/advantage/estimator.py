# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Advantage of RECAP from the values of whole episodes (arXiv 2511.14759).

G^ = 1 - V is the estimated cost-to-go, and each step costs 1 / S. With S = T, a value without
prediction error has an advantage of 0 at each step of a success. Arrays have one entry for each
step t = 1 .. T of an episode; NaN is unknown, and stays unknown.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.observation import Array
from viva_ros.core.returns import return_from_value
from viva_ros.metrics.ranking import spearman

DIGITS = 12  # decimals kept: a perfect value has an advantage of 0, not 1e-17
Mask = NDArray[np.bool_]


#: G[T] of a failure for the expected value, which ends it at -1.
FAILED: Final = 2.0


def expected_value(values: Array, progress: Array) -> Array:
    """
    Return the value in which progress counts as much as success is probable.

    V = success progress - (1 - success) = success (1 + progress) - 1

    It is the expectation over the outcome of a value that is the progress of a success and -1 in
    a failure, as the return of RECAP is. In progress + success - 1 the progress of an attempt that
    is lost raises V, and so makes steps positive that cannot lead to success.

    :param values: progress + success - 1, (T,)
    :param progress: in these values, in [-1, 1], (T,)
    :returns: (T,), in [-1, 1]; NaN where one is unknown
    """
    success = values + 1.0 - progress
    weighted: Array = success * (1.0 + progress) - 1.0
    return weighted


def terminal_return(success: bool, progress: float | None = None) -> float:
    """
    Return G[T], the return of the last step, as the scored value defines it.

    G[T] = 0                    on success
    G[T] = 1                    on failure, for V = 1 - G (arXiv 2604.08168, eq. 2)
    G[T] = 2 - progress[T]      on failure, for V = progress + success - 1 (outcome frame)

    With an outcome frame V ends a failure at progress[T] - 1, so G[T] is 1 minus that. For
    ``expected_value`` G[T] of a failure is ``FAILED``.

    :param progress: in V of the last step, in [-1, 1], NaN if unknown; None without an outcome
        frame
    :returns: NaN if the progress is required and unknown
    """
    if success:
        return 0.0
    return 1.0 if progress is None else 2.0 - progress


def n_step_advantage(
    values: Array, steps: float, *, terminal: float, scale: float | None = None
) -> Array:
    """
    Return the advantage of each step.

    A[t] = G^[t] - G^[t + N] - N / S           for t + N <= T
    A[t] = G^[t] - (T - t) / S - G[T]          past the end

    where G^ = 1 - V. G[T] must be that of the scored value, see ``terminal_return``. Then a
    perfect value ends a failure with A[T] = 0, and any value with an outcome frame ends it with
    A[T] = 2 - progress[T] - success[T] - (2 - progress[T]) = -success[T], never above 0; its
    expected value with A[T] = -success[T] (1 + progress[T]).

    With S = T the cost of the rest is that of training, and a perfect value has A = 0 at each step
    of a success. A larger S, the longest episode of the task, charges for time as RECAP does: then
    a short success has a larger advantage than a long one.

    :param values: V, (T,); NaN where unknown
    :param steps: N > 0; a fraction is interpolated between two known neighbours
    :param terminal: G[T]; NaN if unknown
    :param scale: S in steps, at least T; None for T
    :returns: (T,); NaN where a required number is unknown
    :raises ValueError: if N is not positive, or S below T
    """
    length = len(values)
    scale = float(length) if scale is None else scale
    if not steps > 0.0 or scale < length:
        raise ValueError(f'steps is {steps}, must be above 0; scale {scale}, at least {length}')
    expected = return_from_value(np.asarray(values, dtype=np.float64))
    step = np.arange(1, length + 1, dtype=np.float64)
    inside = step + steps <= length + 1e-9
    later = value_at(expected, np.minimum(step + steps, length) - 1.0)
    charged = np.where(inside, steps, length - step) / scale
    last = np.where(inside, later, terminal)
    return np.round(expected - last - charged, DIGITS) + 0.0  # no -0


def value_at(values: Array, at: Array) -> Array:
    """
    Interpolate linearly between neighbours.

    :param at: positions in ``values``, from 0
    :returns: values at the positions; NaN where a required neighbour is NaN
    """
    low = np.floor(at + 1e-9).astype(np.int64)
    share = np.maximum(at - low, 0.0)
    share[share < 1e-9] = 0.0
    high = np.minimum(low + (share > 0.0), max(len(values) - 1, 0))
    between: Array = values[low] + share * (values[high] - values[low])
    return between


@dataclass(frozen=True)
class Effect:
    """
    Effect of smoothing on the advantages; NaN if too few are known.

    :param deviation: standard deviation, before and after
    :param sign_changes: share of neighbours with different signs, before and after
    :param rank_correlation: Spearman correlation of before with after
    """

    deviation: tuple[float, float]
    sign_changes: tuple[float, float]
    rank_correlation: float


def effect(before: Sequence[Array], after: Sequence[Array]) -> Effect:
    """Compare the advantages of all episodes, step by step."""
    one, other = _join(before), _join(after)
    both = np.isfinite(one) & np.isfinite(other)
    enough = int(both.sum()) >= 2
    return Effect(
        (_deviation(one), _deviation(other)), (sign_changes(before), sign_changes(after)),
        spearman(one[both], other[both]) if enough else math.nan,
    )  # fmt: skip


def sign_changes(advantages: Sequence[Array]) -> float:
    """Return the share of neighbouring known steps whose advantages have different signs."""
    changes, pairs = 0, 0
    for one in advantages:
        signs = np.sign(one)
        both = np.isfinite(signs[:-1]) & np.isfinite(signs[1:])
        pairs += int(both.sum())
        changes += int((signs[:-1] != signs[1:])[both].sum())
    return changes / pairs if pairs else math.nan


def threshold(advantages: Array, share: float) -> float:
    """
    Return the smallest eps with at most a share of the known advantages above it.

    :param share: in (0, 1)
    :returns: NaN if no advantage is known
    """
    known = np.sort(advantages[np.isfinite(advantages)])
    rank = math.ceil(len(known) * (1.0 - share) - 1e-9)  # 10 * (1 - .3) is 7, not 7.000...1
    return float(known[max(rank, 1) - 1]) if known.size else math.nan


def indicator(advantages: Array, eps: float, forced: Mask) -> Array:
    """
    Return the improvement indicator 1[A > eps]; 1 for each corrected step.

    :param forced: whether a person corrected the step, (T,)
    :returns: (T,), 1 or 0; NaN where unknown
    """
    known = np.where(advantages > eps, 1.0, 0.0)
    return np.where(forced, 1.0, np.where(np.isfinite(advantages), known, np.nan))


def dropped(length: int, share: float, seed: int, name: str) -> Mask:
    """
    Draw the steps at which a policy learns without the indicator.

    :param share: probability of each step, in [0, 1)
    :param name: name of the episode; the draw depends on name and seed only
    """
    draws = np.random.default_rng([seed, zlib.crc32(name.encode())]).random(length)
    return np.asarray(draws < share)


def _join(advantages: Sequence[Array]) -> Array:
    return np.concatenate([np.empty(0), *advantages])


def _deviation(advantages: Array) -> float:
    known = advantages[np.isfinite(advantages)]
    return float(known.std()) if known.size else math.nan
