# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contenders, in order of importance, and how each is trained."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks.ablation.baseline import Contender, Material
from benchmarks.ablation.baselines import (
    classifier,
    frozen,
    goal_value,
    proprio,
    regression,
    value_only,
    viva,
)
from viva_ros.core.errors import ConfigurationError

SUCCESS_TARGETS: Final = ('proprio', 'value', 'success')
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
    """

    name: str
    title: str
    build: Callable[[Material], Contender]
    rate: float = 1e-3
    longer: int = 1
    wider: int = 1
    resumes: bool = True


ENTRIES: Final = (
    Entry('viva_success', 'ViVa, outcome frame (shipped)', partial(viva, targets=SUCCESS_TARGETS)),
    Entry(VIVA, 'ViVa', viva),
    Entry('value_only', 'value only (no future proprioception)', value_only),
    Entry('regression', 'direct regression, same trunk', regression),
    Entry('classifier', 'VLM-style, 201 bins', classifier, rate=5e-4),
    Entry('icvf', 'ICVF (no outcome labels)', goal_value, 5e-4, 4, 8, resumes=False),
    Entry('proprio', 'proprioception only', proprio, longer=2, wider=8),
    Entry('no_video', 'without video pre-training', partial(viva, pretrained=False)),
    Entry('k10', 'K = 10', partial(viva, horizon_steps=10)),
    Entry('k25', 'K = 25', partial(viva, horizon_steps=25)),
    Entry('k75', 'K = 75', partial(viva, horizon_steps=75)),
    Entry('frozen', 'frozen trunk', frozen),
    Entry('images', 'with future images', partial(viva, targets=IMAGES_TARGETS)),
)


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
