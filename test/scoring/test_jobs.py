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
from viva_ros.engine.manifest import read_manifest, write_manifest
from viva_ros.scoring.jobs import FAILED, SCORED, STOP, UNCHANGED, ScoreJob, ScoreOptions, Scorer
from viva_ros.scoring.scorer import Scores, score
from viva_ros.scoring.store import header, read_scored


def attempt(options: ScoreOptions, job: ScoreJob):
    scorer = Scorer(options)
    outcome = scorer.attempt(job)
    scorer.close()
    return outcome


def test_unchanged_recording_is_not_scored_again(score_options, jobs) -> None:
    first = attempt(score_options, jobs[1])
    written = jobs[1].values.stat().st_mtime_ns
    second = attempt(score_options, jobs[1])
    assert (first.state, second.state) == (SCORED, UNCHANGED)
    assert jobs[1].values.stat().st_mtime_ns == written
    same = {'state': '', 'seconds': 0.0, 'text': ''}
    assert replace(first, **same) == replace(second, **same)


def rewrite(options: ScoreOptions, job: ScoreJob) -> ScoreOptions:
    """Change a letter of the recording, in the name of the library that wrote it."""
    content, stat = bytearray(job.path.read_bytes()), job.path.stat()
    content[content.index(b'iva_ros') - 1] ^= 0x20
    job.path.write_bytes(content)
    os.utime(job.path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**6))
    return options


def tear(options: ScoreOptions, job: ScoreJob) -> ScoreOptions:
    job.values.write_bytes(job.values.read_bytes()[:-9])
    return options


def delete(options: ScoreOptions, job: ScoreJob) -> ScoreOptions:
    job.progress.unlink()
    return options


def change_rate(options: ScoreOptions, job: ScoreJob) -> ScoreOptions:
    return replace(options, rate=5.0)


@pytest.mark.parametrize('change', [rewrite, tear, delete, change_rate])
def test_changed_input_or_torn_table_is_scored_again(score_options, jobs, change) -> None:
    attempt(score_options, jobs[1])
    assert attempt(change(score_options, jobs[1]), jobs[1]).state == SCORED
    assert header(jobs[1].values) is not None
    assert attempt(change(score_options, jobs[1]), jobs[1]).state in (SCORED, UNCHANGED)


def test_touched_recording_is_not_scored_again(score_options, jobs) -> None:
    attempt(score_options, jobs[1])
    os.utime(jobs[1].path, ns=(1, 1))
    assert attempt(score_options, jobs[1]).state == UNCHANGED


def test_other_engine_scores_recording_again(score_options, jobs, tmp_path: Path) -> None:
    attempt(score_options, jobs[1])
    other = write_worth_engine(tmp_path / 'other', fingerprint='1111222233334444')
    outcome = attempt(replace(score_options, engine=str(other)), jobs[1])
    assert (outcome.state, outcome.engine) == (SCORED, '1111222233334444')
    assert read_scored(jobs[1].values).engine == '1111222233334444'


def test_recording_without_known_value_fails_with_reason(
    score_options, jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(*arguments: object) -> Scores:
        found = score(*arguments)
        samples = [replace(one, value=math.nan, reason='camera wrist: no image') for one in
                   found.samples]  # fmt: skip
        return replace(found, samples=[*samples[1:], replace(samples[0], reason='skew')])

    monkeypatch.setattr('viva_ros.scoring.jobs.score', blind)
    outcome = attempt(score_options, jobs[0])
    assert outcome.state == FAILED
    assert 'because: camera wrist: no image' in outcome.text
    assert not jobs[0].values.exists()


def test_deleted_recording_fails_alone(score_options, jobs) -> None:
    jobs[0].path.unlink()
    outcome = attempt(score_options, jobs[0])
    assert outcome.state == FAILED
    assert str(jobs[0].path) in outcome.text


def test_engine_that_does_not_load_stops_the_run(score_options, jobs) -> None:
    outcome = attempt(replace(score_options, task='dance'), jobs[0])
    assert outcome.state == STOP
    assert "task is 'dance', must be one of 'tray_lift'" in outcome.text
    assert str(jobs[0].path) in outcome.text


def test_full_disk_stops_the_run(score_options, jobs, monkeypatch) -> None:
    def full(path, content):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('viva_ros.scoring.store.write_atomically', full)
    outcome = attempt(score_options, jobs[0])
    assert outcome.state == STOP
    assert 'No space left on device' in outcome.text
    assert not jobs[0].values.exists()


@pytest.mark.parametrize('size', [1, 'batch'])
def test_batch_values_equal_single_values(score_options, tmp_path: Path, size) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.01 * n for n in range(11)])
    engine = str(write_worth_engine(tmp_path / 'batched', size))
    found = []
    for batch in (1, 4):
        job = ScoreJob(resolve(path), tmp_path / f'out{batch}', 'r')
        assert attempt(replace(score_options, engine=engine, batch=batch), job).known == 11
        found.append(pq.read_table(job.values).to_pydict())
    one, four = found
    assert one.pop('value') == pytest.approx(four.pop('value'), abs=1e-6)
    assert one.pop('forecast.worth') == pytest.approx(four.pop('forecast.worth'), abs=1e-6)
    assert one == four


def test_invalid_input_does_not_fail_its_batch(score_options, tmp_path: Path) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.1, float('nan'), 0.3, 0.4])
    engine = str(write_worth_engine(tmp_path / 'batched', 'batch'))
    outcome = attempt(
        replace(score_options, engine=engine, batch=4), ScoreJob(resolve(path), tmp_path, 'r')
    )
    assert (outcome.known, outcome.unknown) == (3, 1)


def test_recording_of_unknown_task_fails_alone(
    score_options, jobs, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr('viva_ros.scoring.jobs.own_task', lambda *_: 'tray_lift')
    engine = write_worth_engine(tmp_path / 'other')
    write_manifest(engine, replace(read_manifest(engine), tasks=('fold',)))
    outcome = attempt(replace(score_options, engine=str(engine), task=''), jobs[1])
    assert outcome.state == FAILED
    assert "task is 'tray_lift', must be one of fold" in outcome.text
    assert (
        attempt(replace(score_options, engine=str(engine), task='tray_lift'), jobs[1]).state
        == STOP
    )
