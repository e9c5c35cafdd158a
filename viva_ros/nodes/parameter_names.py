# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Names that are given to a node but are none of its parameters; rcl ignores them without a word.

A file of parameters for all nodes ('/**') holds names of other nodes too. So a name that is nearly
one of ours is refused, one of our other nodes is as it should be, and any other is warned of.
"""

import difflib
from collections.abc import Collection, Iterable
from typing import Final

from viva_ros.core.settings import flatten
from viva_ros.nodes.settings import RENAMED, SETTINGS

NEAR: Final = 0.8  # of difflib's ratio: a letter missing, wrong or too much
OURS: Final = frozenset(info.name for one in SETTINGS.values() for info in flatten(one))
ELSEWHERE: Final = (
    "if it is a parameter of another node, put it under that node's name, not under '/**'"
)


def refused_names(given: Iterable[str], declared: Collection[str]) -> list[str]:
    """Return an error for each name that must be a slip or that has been renamed."""
    found = []
    for name in sorted(set(given) - set(declared)):
        group = name.partition('.')[0] + '.'
        near = nearest(name, declared)
        if name in RENAMED:
            found.append(f'there is no parameter {name!r} any more: use {RENAMED[name]}')
        elif name in OURS:
            continue
        elif near:
            found.append(f'there is no parameter {name!r}: is {near!r} meant? {ELSEWHERE}')
        elif siblings := [one for one in declared if one.startswith(group)]:
            known = ', '.join(siblings)
            found.append(f'there is no parameter {name!r}, must be one of {known}; {ELSEWHERE}')
    return found


def unrelated_names(given: Iterable[str], declared: Collection[str]) -> list[str]:
    """Return the names that are neither refused nor parameters of one of our other nodes."""
    return [
        name for name in sorted(set(given) - set(declared) - OURS)
        if not refused_names([name], declared)
    ]  # fmt: skip


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is nearly this one; '' if none is."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, NEAR)), '')
