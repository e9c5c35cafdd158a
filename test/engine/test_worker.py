# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import threading

import pytest
from support.errors import raises

from viva_ros.core.errors import DeviceError, EngineError, InputError
from viva_ros.engine.worker import EngineWorker, is_device_error, retry_on_device_error

PATIENCE = 20.0  # s


def test_job_runs_in_thread_and_result_is_taken_once():
    done = threading.Event()
    worker = EngineWorker(lambda job: (job + 1, threading.current_thread().name), done.set)
    worker.submit(41)
    assert done.wait(PATIENCE)
    assert worker.take() == (42, 'viva_worker')
    assert worker.take() is None
    assert worker.idle and worker.busy_for == 0.0
    assert worker.close()


def test_second_job_while_busy_is_refused():
    go, done = threading.Event(), threading.Event()
    worker = EngineWorker(lambda _: go.wait(PATIENCE), done.set)
    worker.submit('first')
    assert not worker.idle and worker.busy_for > 0.0
    with pytest.raises(ValueError, match='busy'):
        worker.submit('second')
    go.set()
    assert done.wait(PATIENCE)
    assert worker.close()


def test_worker_is_not_idle_before_its_result_is_taken():
    """Otherwise the caller would publish what it sees now before an older result."""
    done, was = threading.Event(), []
    worker = EngineWorker(lambda job: job, lambda: (was.append(worker.idle), done.set()))
    worker.submit('old')
    assert done.wait(PATIENCE)
    assert was == [False] and not worker.idle and worker.busy_for == 0.0
    with pytest.raises(ValueError, match='take its result'):
        worker.submit('new')
    assert worker.take() == 'old' and worker.idle
    assert worker.close()


def test_close_returns_false_while_job_runs():
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
    """Raises each of its errors once, then returns 0.25."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.freed = list(errors), 0

    def free(self) -> None:
        self.freed += 1

    def estimate(self) -> float:
        if self.errors:
            raise self.errors.pop(0)
        return 0.25


def test_first_device_error_frees_memory_and_retries() -> None:
    engine = Engine(FULL)
    assert retry_on_device_error(engine.estimate, engine) == 0.25
    assert engine.freed == 1


def test_second_device_error_raises_device_error() -> None:
    engine = Engine(FULL, FULL)
    with raises('device-failed', FULL, 'use a smaller engine', of=DeviceError):
        retry_on_device_error(engine.estimate, engine)
    assert engine.freed == 1


@pytest.mark.parametrize(
    'error',
    [InputError('image-step', 'step is 3'), EngineError('engine-output-not-finite', 'inf')],
    ids=['input', 'engine'],
)
def test_other_errors_are_not_retried(error: Exception) -> None:
    engine = Engine(error)
    with pytest.raises(type(error)):
        retry_on_device_error(engine.estimate, engine)
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
def test_library_messages_are_classified(text: str, expected: bool) -> None:
    assert is_device_error(RuntimeError(text)) is expected


def test_cause_of_error_is_classified() -> None:
    try:
        raise EngineError('onnxruntime-failed', 'onnxruntime failed') from FULL
    except EngineError as error:
        assert is_device_error(error)
