# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
import os
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.onnx_engines import write_worth_engine
from support.recordings import write_recording

from viva_ros.data.open import resolve
from viva_ros.scoring.jobs import FAILED, SCORED, STOP, THERE, Order, ScoreJob, Scorer
from viva_ros.scoring.scorer import Scores, score
from viva_ros.scoring.store import header, read_scored


def attempt(order: Order, job: ScoreJob):
    scorer = Scorer(order)
    outcome = scorer.attempt(job)
    scorer.close()
    return outcome


def test_what_is_there_is_left_alone_and_reported_the_same(order, jobs) -> None:
    first = attempt(order, jobs[1])
    written = jobs[1].values.stat().st_mtime_ns
    second = attempt(order, jobs[1])
    assert (first.state, second.state) == (SCORED, THERE)
    assert jobs[1].values.stat().st_mtime_ns == written
    same = {'state': '', 'seconds': 0.0, 'text': ''}
    assert replace(first, **same) == replace(second, **same)


def touch(order: Order, job: ScoreJob) -> Order:
    os.utime(job.path, ns=(1, 1))
    return order


def tear(order: Order, job: ScoreJob) -> Order:
    job.values.write_bytes(job.values.read_bytes()[:-9])
    return order


def lose(order: Order, job: ScoreJob) -> Order:
    job.progress.unlink()
    return order


@pytest.mark.parametrize(
    'change', [touch, tear, lose, lambda order, job: replace(order, rate=5.0)]
)
def test_what_has_changed_or_is_not_whole_is_scored_again(order, jobs, change) -> None:
    attempt(order, jobs[1])
    assert attempt(change(order, jobs[1]), jobs[1]).state == SCORED
    assert header(jobs[1].values) is not None
    assert attempt(change(order, jobs[1]), jobs[1]).state in (SCORED, THERE)


def test_another_engine_scores_again(order, jobs, tmp_path: Path) -> None:
    attempt(order, jobs[1])
    other = write_worth_engine(tmp_path / 'other', fingerprint='1111222233334444')
    outcome = attempt(replace(order, engine=str(other)), jobs[1])
    assert (outcome.state, outcome.engine) == (SCORED, '1111222233334444')
    assert read_scored(jobs[1].values).engine == '1111222233334444'


def test_a_recording_without_a_known_value_is_a_failure_with_its_reason(
    order, jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(*given: object) -> Scores:
        found = score(*given)
        samples = [replace(one, value=math.nan, reason='camera wrist: no image') for one in
                   found.samples]  # fmt: skip
        return replace(found, samples=[*samples[1:], replace(samples[0], reason='skew')])

    monkeypatch.setattr('viva_ros.scoring.jobs.score', blind)
    outcome = attempt(order, jobs[0])
    assert outcome.state == FAILED
    assert 'no value is known' in outcome.text
    assert 'because: camera wrist: no image' in outcome.text
    assert not jobs[0].values.exists()


def test_a_recording_that_is_gone_is_its_own_failure(order, jobs) -> None:
    jobs[0].path.unlink()
    outcome = attempt(order, jobs[0])
    assert outcome.state == FAILED
    assert str(jobs[0].path) in outcome.text


def test_an_engine_that_cannot_be_loaded_stops_all_and_says_where(order, jobs) -> None:
    outcome = attempt(replace(order, task='dance'), jobs[0])
    assert outcome.state == STOP
    assert "task is 'dance', must be one of 'tray_lift'" in outcome.text
    assert str(jobs[0].path) in outcome.text


def test_a_place_that_cannot_be_written_stops_all(order, jobs, monkeypatch) -> None:
    def full(path, content):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('viva_ros.scoring.store.write_atomically', full)
    outcome = attempt(order, jobs[0])
    assert outcome.state == STOP
    assert 'No space left on device' in outcome.text
    assert not jobs[0].values.exists()


@pytest.mark.parametrize('several', [1, 'batch'])
def test_a_batch_gives_what_one_by_one_gives(order, tmp_path: Path, several) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.01 * n for n in range(11)])
    engine = str(write_worth_engine(tmp_path / 'batched', several))
    found = []
    for batch in (1, 4):
        job = ScoreJob(resolve(path), tmp_path / f'out{batch}', 'r')
        assert attempt(replace(order, engine=engine, batch=batch), job).known == 11
        found.append(pq.read_table(job.values).to_pydict())
    one, four = found
    assert one.pop('value') == pytest.approx(four.pop('value'), abs=1e-6)
    assert one.pop('forecast.worth') == pytest.approx(four.pop('forecast.worth'), abs=1e-6)
    assert one == four


def test_one_that_cannot_be_used_does_not_spoil_its_batch(order, tmp_path: Path) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.1, float('nan'), 0.3, 0.4])
    engine = str(write_worth_engine(tmp_path / 'batched', 'batch'))
    outcome = attempt(
        replace(order, engine=engine, batch=4), ScoreJob(resolve(path), tmp_path, 'r')
    )
    assert (outcome.known, outcome.unknown) == (3, 1)


def test_a_recording_of_a_task_that_the_engine_does_not_know_is_its_own_failure(
    order, jobs, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr('viva_ros.scoring.jobs.own_task', lambda *_: 'tray_lift')
    engine = write_worth_engine(tmp_path / 'other')
    description = engine / 'engine.json'
    content = description.read_text(encoding='utf-8').replace('tray_lift', 'fold')
    description.write_text(content, encoding='utf-8')
    outcome = attempt(replace(order, engine=str(engine), task=''), jobs[1])
    assert outcome.state == FAILED
    assert "task 'tray_lift', there are engines for fold" in outcome.text
    assert attempt(replace(order, engine=str(engine), task='tray_lift'), jobs[1]).state == STOP
