# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The contenders, in order of importance, and how each is trained.

The first eight are a grid: flow matching or direct regression, with or without an outcome frame,
with or without future proprioception.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from benchmarks.ablation.baseline import Contender, Material
from benchmarks.ablation.baselines import (
    bins,
    frozen,
    goal_value,
    proprio,
    viva,
)
from viva_ros.core.errors import ConfigurationError
from viva_ros.model.config import REGRESSION

BOTH: Final = ('proprio', 'value', 'success')
OUTCOME: Final = ('value', 'success')
VALUE: Final = ('value',)
IMAGES_TARGETS: Final = ('proprio', 'images', 'value')
VIVA: Final = 'viva'
REFERENCES: Final = ('viva_success', VIVA)  # others are compared with these, if they take part
TIME: Final = 'time_counter'
TIME_TITLE: Final = 'time counter'


@dataclass(frozen=True)
class Entry:
    """
    One contender.

    :param rate: largest learning rate
    :param longer: factor on the steps, for contenders with cheap steps
    :param wider: factor on the batch, likewise
    :param resumes: whether an interrupted training continues; otherwise it starts again
    :param repeats: whether it is trained with several seeds
    :param grid: whether it has flow matching, an outcome frame and future proprioception; None
        outside of the grid
    """

    name: str
    title: str
    build: Callable[[Material], Contender]
    rate: float = 1e-3
    longer: int = 1
    wider: int = 1
    resumes: bool = True
    repeats: bool = False
    grid: tuple[bool, bool, bool] | None = None


def _cell(name: str, title: str, *grid: bool) -> Entry:
    flow, outcome, forecast = grid
    targets = {(True, True): BOTH, (True, False): OUTCOME, (False, False): VALUE}
    changes: dict[str, Any] = {} if flow else {'objective': REGRESSION}
    if (outcome, forecast) != (False, True):  # the targets of the preset
        changes['targets'] = targets[outcome, forecast]
    made = partial(viva, **changes) if changes else viva
    return Entry(name, title, made, repeats=True, grid=(flow, outcome, forecast))


ENTRIES: Final = (
    _cell('viva_success', 'flow, outcome frame, future joints', True, True, True),
    _cell(VIVA, 'flow, future joints (ViVa as published)', True, False, True),
    _cell('value_success', 'flow, outcome frame', True, True, False),
    _cell('value_only', 'flow, value only', True, False, False),
    _cell(
        'regression_success',
        'regression, outcome frame, future joints',
        False,
        True,
        True,
    ),
    _cell('regression', 'regression, future joints', False, False, True),
    _cell('regression_value_success', 'regression, outcome frame', False, True, False),
    _cell('regression_value', 'regression, value only', False, False, False),
    Entry('bins', '201 bins on the same trunk', bins, repeats=True),
    Entry('icvf', 'ICVF (no outcome labels)', goal_value, 5e-4, 4, 8, resumes=False),
    Entry('proprio', 'proprioception only', proprio, longer=2, wider=8),
    Entry('no_video', 'without video pre-training', partial(viva, pretrained=False)),
    Entry('k10', 'K = 10', partial(viva, horizon=0.2)),
    Entry('k25', 'K = 25', partial(viva, horizon=0.5)),
    Entry('k75', 'K = 75', partial(viva, horizon=1.5)),
    Entry('frozen', 'frozen trunk', frozen),
    Entry('images', 'with future images', partial(viva, targets=IMAGES_TARGETS)),
)


#: Factors of the grid, in the order of ``Entry.grid``: name, and its two levels in words.
FACTORS: Final = (
    ('flow', 'flow matching instead of direct regression'),
    ('outcome', 'outcome frame'),
    ('forecast', 'future proprioception'),
)


def key_of(entry: Entry, repeat: int) -> str:
    """Return the name of a training of an entry; repeat 0 has the name of the entry."""
    return f'{entry.name}.{repeat}' if repeat else entry.name


def entry_of(key: str) -> tuple[Entry, int]:
    """Return the entry of a key, and the number of the repeat."""
    name, _, repeat = key.partition('.')
    (entry,) = chosen([name])
    return entry, int(repeat or 0)


def chosen(names: Iterable[str]) -> list[Entry]:
    """
    Return entries by name, in the order of ENTRIES; without names: all.

    :raises ConfigurationError: if a name is unknown
    """
    wanted, known = set(names), {entry.name: entry for entry in ENTRIES}
    if wanted - set(known):
        odd = ', '.join(sorted(wanted - set(known)))
        raise ConfigurationError(
            'compare-contender', f'contender is {odd}, must be one of {", ".join(known)}'
        )
    return [entry for entry in ENTRIES if not wanted or entry.name in wanted]
