# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from viva_ros.training import run, verdict
from viva_ros.training.cache import Data
from viva_ros.training.config import TrainConfig, plan
from viva_ros.training.verdict import Curve


def curve(errors: list[float], fall: float = 0.01) -> Curve:
    """Return held-out errors at steps 100, 200, ..., and a training loss at every tenth step."""
    held_steps = 100.0 * np.arange(1, len(errors) + 1)
    steps = np.arange(10.0, 100 * len(errors) + 1, 10)
    return Curve(steps, 1.0 - fall * steps / 100, held_steps, np.array(errors))


@pytest.mark.parametrize(('errors', 'fall', 'expected'), [
    ([0.5, 0.2, 0.21, 0.23], 0.01, 'overfitted after step 200: the held-out error rose from '
     '0.2000 to 0.2300 at step 400'),
    ([0.5, 0.2, 0.21, 0.219], 0.01, 'the held-out error is smallest at step 200 of 400: 0.2000'),
    ([0.5, 0.2, 0.21, 0.23], -0.01, 'the held-out error is smallest at step 200'),  # it diverges
    ([0.5, 0.4, 0.3, 0.2, 0.19], 0.01, 'still improving at the end: the held-out error fell by '
     '5 % within the last fifth: train longer, --viva-steps 1000'),
    ([0.5, 0.4, 0.3, 0.2, 0.198], 0.01, 'the held-out error is smallest at step 500 of 500'),
    ([0.5, float('nan'), 0.6], 0.01, 'overfitted after step 100'),
])  # fmt: skip
def test_verdict_follows_the_curve(errors: list[float], fall: float, expected: str) -> None:
    (found,) = verdict.after(curve(errors, fall), 'viva')
    assert found.startswith(expected)


def test_attempt_given_up_for_a_retry_counts_as_a_failure() -> None:
    joined = [{**label, 'times': {'retry': 6.0}} for label in labels('fold', 12, 0)]
    assert verdict.outcomes(joined) == []
    (found,) = verdict.outcomes([{**label, 'times': {}} for label in joined])
    assert 'all 12 episodes are successes' in found


def test_value_that_is_not_trained_is_announced(tmp_path: Path) -> None:
    lengths = {'vae': 1, 'video': 1, 'viva': 0}
    run = TrainConfig((tmp_path,), tmp_path, 'tiny', 0, plan(2, lengths, 'tiny'))
    (found,) = verdict.length(run, 100)
    assert found.startswith('--viva-steps is 0: the value is not trained')
    assert 'with --init' in found
    with_head = replace(run, head=1, plan=plan(2, {**lengths, 'head': 0}, 'tiny'))
    (found,) = verdict.length(with_head, 100)
    assert '--head-steps is 0' in found and '--init' not in found  # which takes no head
    assert verdict.length(replace(run, init=tmp_path), 100) == []


def test_curve_without_measurements_has_no_verdict(tmp_path: Path) -> None:
    assert verdict.after(Curve.read(tmp_path, 'viva'), 'viva') == []
    assert verdict.after(curve([float('nan')] * 3), 'viva') == []


def test_curve_of_one_stage_is_read(tmp_path: Path) -> None:
    rows = [
        {'stage': 'vae', 'step': 1, 'total': 9.0}, {'stage': 'viva', 'step': 1, 'total': 2.0},
        {'stage': 'viva', 'step': 2, 'total': 1.0, 'value_error': 0.5},
    ]  # fmt: skip
    (tmp_path / 'curve.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    found = Curve.read(tmp_path, 'viva')
    assert (found.steps.tolist(), found.losses.tolist()) == ([1, 2], [2.0, 1.0])
    assert (found.held_steps.tolist(), found.errors.tolist()) == ([2], [0.5])


def labels(task: str, good: int, bad: int) -> list[dict[str, object]]:
    return [
        {'task': task, 'success': k < good, 'identities': [f'{task} {k}']}
        for k in range(good + bad)
    ]


@pytest.mark.parametrize(('good', 'bad', 'expected'), [
    (90, 10, None), (9, 91, 'too few successes: 9 of 100 attempts; record at least 10'),
    (91, 9, 'too few failures: 9 of 100 attempts; record at least 10'),
    (389, 11, 'too few failures: 11 of 400 attempts; record at least 20'),  # 2.8 %
    (40, 0, 'all 40 episodes are successes: the value learns progress alone'),
    (0, 40, 'all 40 episodes are failures: no progress towards success is learnt'),
])  # fmt: skip
def test_few_outcomes_are_named_by_task(good: int, bad: int, expected: str | None) -> None:
    found = verdict.outcomes([*labels('fold', good, bad), *labels('pour', 30, 30)])
    assert len(found) == (expected is not None)
    assert expected is None or found[0].startswith(f'task fold: {expected}')


def test_failed_attempt_that_is_also_joined_with_its_retry_counts_once() -> None:
    rows = labels('fold', 20, 6)
    for number in range(5):  # joined: the failed attempt, the way home and the retry
        rows.append({
            'task': 'fold', 'success': True, 'times': {'retry': 4.0},
            'identities': [f'fold {20 + number}', f'joined {number}'],
        })  # fmt: skip
    assert verdict.outcomes(rows) == [
        'task fold: too few failures: 6 of 31 attempts; record at least 10'
    ]
    alone = [row for row in rows if row['success']]
    assert verdict.outcomes(alone) == [
        'task fold: too few failures: 5 of 30 attempts; record at least 10'
    ]


def test_warnings_come_before_the_run(make_slide_data: Callable[..., Data]) -> None:
    learn = make_slide_data(range(1, 3))  # both succeed; 1.1 s
    run = TrainConfig((), Path('out'), plan=plan(4, {'viva': 2}))
    found = verdict.before(run, learn, None, 1.2)
    assert [text.split(':')[0] for text in found] == [
        'stage viva is short', 'task slide', 'no validation recordings',
        '2 of 2 episodes are shorter than the horizon of 1.2 s',
    ]  # fmt: skip
    remedy = float(found[3].split('--horizon ')[1].split()[0])
    assert verdict.before(run, learn, None, remedy) == found[:3]
    enough = replace(run, plan=plan(4, {'viva': 1000}))
    assert len(verdict.before(enough, learn, learn, 1.0)) == 2  # outcomes, few validation episodes


@pytest.mark.parametrize('errors', [[], [0.5, 0.2, 0.4]])
def test_plot_is_written(tmp_path: Path, errors: list[float]) -> None:
    steps = np.arange(10.0, 301, 10)
    drawn = Curve(steps, 1 / steps, 100.0 * np.arange(1, len(errors) + 1), np.array(errors))
    verdict.draw(drawn, 'viva', 200 if errors else 0, tmp_path / 'curve.png')
    assert (tmp_path / 'curve.png').read_bytes().startswith(b'\x89PNG')


def test_warning_with_a_hostile_task_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    labels = [{'task': 'fold\x1b[31m[/bold]', 'success': True, 'identities': []}]
    run._say(verdict.outcomes(labels))
    assert 'viva train: task fold\\x1b[31m[/bold]: all 1 episodes' in capsys.readouterr().err
