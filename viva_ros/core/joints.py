# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joints are matched by name, never by their place in a message."""

import math
from collections.abc import Mapping, Sequence

from viva_ros.core.errors import InputError


def match_joints(
    positions: Mapping[str, float], names: Sequence[str], topic: str = 'joint_states'
) -> dict[str, float]:
    """
    Pick joints by name; others are ignored.

    :returns: in the order of ``names``, rad or m
    :raises InputError: if one is missing or not finite
    """
    missing = [name for name in names if name not in positions]
    if missing:
        raise InputError(f'{topic} lacks {", ".join(missing)}; it has {", ".join(positions)}')
    picked = {name: float(positions[name]) for name in names}
    broken = [f'{name} = {picked[name]}' for name in names if not math.isfinite(picked[name])]
    if broken:
        raise InputError(f'{topic} is not finite: {", ".join(broken)}')
    return picked
