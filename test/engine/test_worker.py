# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import threading

import pytest

from viva_ros.core.errors import DeviceError, EngineError, InputError
from viva_ros.engine.worker import EngineWorker, is_of_device, with_one_more_try

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


FULL = RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB')


class Engine:
    """Fails as often as told, then gives 0.25."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.freed = list(errors), 0

    def free(self) -> None:
        self.freed += 1

    def estimate(self) -> float:
        if self.errors:
            raise self.errors.pop(0)
        return 0.25


def test_after_one_failure_memory_is_freed_and_it_is_tried_again() -> None:
    engine = Engine(FULL)
    assert with_one_more_try(engine.estimate, engine) == 0.25
    assert engine.freed == 1


def test_a_second_failure_ends_the_process_and_never_moves_the_engine() -> None:
    engine = Engine(FULL, FULL)
    with pytest.raises(DeviceError, match='failed twice, memory freed between: CUDA out of'):
        with_one_more_try(engine.estimate, engine)
    assert engine.freed == 1


@pytest.mark.parametrize('error', [InputError('step is 3'), EngineError('not finite')])
def test_other_errors_are_not_the_devices(error: Exception) -> None:
    engine = Engine(error)
    with pytest.raises(type(error)):
        with_one_more_try(engine.estimate, engine)
    assert engine.freed == 0


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('CUDA error: an illegal memory access was encountered', True),
        ('CUDA failure 2: out of memory', True),
        ('cudaErrorLaunchFailure', True),
        ('camera head is missing', False),
    ],
)
def test_what_libraries_say_is_understood(text: str, expected: bool) -> None:
    assert is_of_device(RuntimeError(text)) is expected


def test_the_cause_counts_too() -> None:
    try:
        raise EngineError('onnxruntime failed') from FULL
    except EngineError as error:
        assert is_of_device(error)
