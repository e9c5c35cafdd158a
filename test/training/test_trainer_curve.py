# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from viva_ros.training.trainer import MetricLog


def add(curve: MetricLog, step: int, held_out: dict[str, float] | None = None) -> None:
    curve.add(step, {'rate': 0.1}, {'total': step / 10}, held_out or {})


def test_rows_are_lines_of_json_and_points_of_tensorboard(tmp_path: Path) -> None:
    curve = MetricLog(tmp_path, 'viva', 0)
    add(curve, 5)
    add(curve, 10, {'value_error': 0.25})
    curve.close()
    rows = [json.loads(line) for line in (tmp_path / 'curve.jsonl').read_text().splitlines()]
    assert rows == [
        {'stage': 'viva', 'step': 5, 'rate': 0.1, 'total': 0.5},
        {'stage': 'viva', 'step': 10, 'rate': 0.1, 'total': 1.0, 'value_error': 0.25},
    ]
    events = EventAccumulator(str(tmp_path / 'tensorboard' / 'viva')).Reload()
    assert [(e.step, e.value) for e in events.Scalars('loss/total')] == [(5, 0.5), (10, 1.0)]
    assert [(e.step, e.value) for e in events.Scalars('held_out/value_error')] == [(10, 0.25)]


def test_rows_of_a_run_that_was_killed_go_and_those_of_other_stages_stay(tmp_path: Path) -> None:
    for stage, steps in (('vae', (5, 30)), ('viva', (5, 10, 15))):
        curve = MetricLog(tmp_path, stage, 0)
        for step in steps:
            add(curve, step)
        curve.close()
    with (tmp_path / 'curve.jsonl').open('a') as file:
        file.write('{"stage": "viva", "st')  # killed while writing
    curve = MetricLog(tmp_path, 'viva', 10)
    add(curve, 15)
    curve.close()
    rows = [json.loads(line) for line in (tmp_path / 'curve.jsonl').read_text().splitlines()]
    assert [(row['stage'], row['step']) for row in rows] == [
        ('vae', 5), ('vae', 30), ('viva', 5), ('viva', 10), ('viva', 15),
    ]  # fmt: skip
    events = EventAccumulator(str(tmp_path / 'tensorboard' / 'viva')).Reload()
    assert [event.step for event in events.Scalars('loss/total')] == [5, 10, 15]
