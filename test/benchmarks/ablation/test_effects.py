# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np

from benchmarks.ablation import table
from benchmarks.ablation.entries import ENTRIES
from benchmarks.ablation.main import joined
from benchmarks.ablation.measure import Measured
from viva_ros.evaluation import summary
from viva_ros.evaluation.results import FAILURE, SUCCESS, Result


def graded(task: str, alarm: bool) -> list[Result]:
    """Return a success and a failure of a task, judged with or without an alarm."""
    times = np.arange(4.0)
    good = Result(
        f'{task}_good', 'none', SUCCESS, True, 4.0, times, times / 4, (), None, None, times / 4,
        task,
    )  # fmt: skip
    bad = replace(
        good, name=f'{task}_bad', group=FAILURE, success=False, inject=0.0, manifest=1.0,
        alarms=(1.5,) if alarm else (),
    )  # fmt: skip
    return [good, bad]


def test_effect_of_a_factor_in_one_task_is_of_this_task_alone() -> None:
    found = {}
    for entry in ENTRIES:
        if entry.grid is not None:
            by_task = {'a': graded('a', entry.grid[1]), 'b': graded('b', True)}
            tasks = {task: summary.figures(rows, frozenset()) for task, rows in by_task.items()}
            everything = [one for rows in by_task.values() for one in rows]
            about = {'title': entry.title, 'all': summary.figures(everything, frozenset())}
            found[entry.name] = Measured({**about, 'tasks': tasks}, everything)
    rows, effects = joined(found)
    gains = {task: effects[task]['outcome']['tpr']['value'] for task in ('', 'a', 'b')}
    assert gains == {'': 0.5, 'a': 1.0, 'b': 0.0}
    assert effects['a']['flow']['tpr']['value'] == 0.0
    for row in rows.values():
        row |= {'parameters': 1, 'steps': 1, 'batch': 1}
    titles = [line for line in table.markdown(rows, effects).splitlines() if 'Effects' in line]
    assert [title.rpartition(', ')[2] for title in titles] == ['all tasks', 'a', 'b']
