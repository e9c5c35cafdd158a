# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Which seed gets which failure: a fixed draw, so that seeds can be shipped instead of data.

Of all seeds 40 % are nominal, 15 % are variations that succeed, 25 % are failures that only a
camera can see, and 20 % are failures of the arms; within each kind all modes are equally likely.
"""

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

NOMINAL: Final = 'none'
SHARES: Final = {'nominal': 0.40, 'variation': 0.15, 'camera': 0.25, 'arms': 0.20}
MODE, RETRY = 0x6D6F6465, 0x72657472  # streams of random numbers, apart from the simulation's
RETRIED: Final = 0.35


def kinds(
    failures: Sequence[str], variations: Sequence[str], camera_only: Collection[str]
) -> dict[str, list[str]]:
    """Give the modes of each kind, in order."""
    return {
        'nominal': [NOMINAL],
        'variation': [mode for mode in variations if mode != NOMINAL],
        'camera': [mode for mode in failures if mode in camera_only],
        'arms': [mode for mode in failures if mode not in camera_only],
    }


def mode_of(seed: int, modes: dict[str, list[str]], successes: bool = False) -> str:
    """
    Draw the mode of a seed.

    :param modes: from ``kinds``
    :param successes: draw only nominal ones and variations, in the same proportion
    """
    wanted = ('nominal', 'variation') if successes else tuple(SHARES)
    shares = {kind: SHARES[kind] for kind in wanted if modes[kind]}
    rng = np.random.default_rng([seed, MODE])
    weights = np.array(list(shares.values()))
    kind = str(rng.choice(list(shares), p=weights / weights.sum()))
    return str(rng.choice(modes[kind]))


def retry_delay(seed: int) -> float | None:
    """Draw whether the robot tries again after a failure, and how long after its evidence, s."""
    rng = np.random.default_rng([seed, RETRY])
    return float(rng.uniform(0.3, 2.5)) if rng.random() < RETRIED else None
