# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import threading

import pytest

from viva_ros.engine.worker import EngineWorker

PATIENCE = 20.0  # s


def test_a_job_is_done_in_another_thread_and_its_result_can_be_taken_once():
    done = threading.Event()
    worker = EngineWorker(lambda job: (job + 1, threading.current_thread().name), done.set)
    worker.submit(41)
    assert done.wait(PATIENCE)
    assert worker.take() == (42, 'viva_worker')
    assert worker.take() is None
    assert worker.idle and worker.busy_for == 0.0
    assert worker.close()


def test_there_is_no_queue():
    go, done = threading.Event(), threading.Event()
    worker = EngineWorker(lambda _: go.wait(PATIENCE), done.set)
    worker.submit('first')
    assert not worker.idle and worker.busy_for > 0.0
    with pytest.raises(ValueError, match='busy'):
        worker.submit('second')
    go.set()
    assert done.wait(PATIENCE)
    assert worker.close()


def test_only_the_newest_result_is_kept():
    done = threading.Semaphore(0)
    worker = EngineWorker(lambda job: job, done.release)
    for job in ('old', 'new'):
        worker.submit(job)
        assert done.acquire(timeout=PATIENCE)
    assert worker.take() == 'new'
    assert worker.close()


def test_a_job_that_does_not_end_is_admitted_at_close():
    begun, go = threading.Event(), threading.Event()

    def endless(_: str) -> None:
        begun.set()
        go.wait(PATIENCE)

    worker = EngineWorker(endless, lambda: None)
    worker.submit('endless')
    assert begun.wait(PATIENCE)
    assert not worker.close(timeout=0.1)
    go.set()
