# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `viva score` tells: a few lines for each recording, and a table at the end."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.table import Table

from viva_ros.offline.score_outcome import FAILED, THERE, Outcome

ROWS: Final = 40  # of the table; thousands would say nothing


def describe(outcome: Outcome, brief: bool) -> str:
    """
    Say what a row of the table cannot.

    :param brief: failures and losses alone
    """
    if outcome.state == FAILED:
        return f'{outcome.path.name}: {outcome.text}'
    lines = [] if brief or outcome.state == THERE else outcome.text.splitlines()
    lines += [f'damaged: {loss}' for loss in outcome.losses]
    return '\n'.join([f'{outcome.path.name}:', *(f'  {line}' for line in lines)]) if lines else ''


def table(outcomes: Sequence[Outcome]) -> Table:
    """Give a row a recording, the troubled first where there are many, and what it comes to."""
    counts = Counter('damaged' if one.losses else one.state for one in outcomes)
    title = ', '.join(f'{number} {state}' for state, number in sorted(counts.items()))
    shown = Table(title=f'{len(outcomes)} recordings: {title}', title_justify='left')
    for name in ('recording', 'state', 'task', 'episodes', 'values', 'unknown', 'V', 'alarms'):
        number = name in ('episodes', 'values', 'unknown', 'alarms')
        shown.add_column(name, justify='right' if number else 'left', no_wrap=True)
    rows = list(outcomes)
    if len(rows) > ROWS:
        rows = sorted(rows, key=_trouble)[:ROWS]
    for one in rows:
        shown.add_row(one.path.name, _state(one), *_figures(one))
    if len(outcomes) > ROWS:
        shown.add_row(f'... {len(outcomes) - ROWS} more')
    shown.add_section()
    whole = Outcome(
        outcomes[0].path, '', engine='', task='', **{
            name: sum(getattr(one, name) for one in outcomes)
            for name in ('episodes', 'known', 'unknown', 'alarms')
        },
    )  # fmt: skip
    shown.add_row('all', '', *_figures(whole))
    return shown


def _trouble(outcome: Outcome) -> tuple[bool, bool, int, int]:
    return outcome.state != FAILED, not outcome.losses, -outcome.unknown, -outcome.alarms


def _state(one: Outcome) -> str:
    return f'{one.state}, damaged' if one.losses else one.state


def _figures(one: Outcome) -> tuple[str, ...]:
    if one.state == FAILED:
        return ()
    span = f'{one.first:+.2f} to {one.last:+.2f}' if math.isfinite(one.first) else ''
    counts = (one.episodes, one.known, one.unknown)
    return one.task, *(str(count) for count in counts), span, str(one.alarms)
