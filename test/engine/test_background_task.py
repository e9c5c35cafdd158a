# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import threading

import pytest
from support.errors import raises

from viva_ros.core.errors import EngineError
from viva_ros.engine.background_task import Preparation

PATIENCE = 30.0  # s


class Gate:
    """A function that returns its name when the test lets it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.open.wait(PATIENCE)
        return self.name


@pytest.fixture
def discarded() -> list[str]:
    return []


@pytest.fixture
def preparation(discarded: list[str]) -> Preparation[str]:
    return Preparation(discarded.append)


def test_result_is_taken_once(preparation, discarded):
    gate = Gate('engine')
    preparation.begin('loading engine', gate)
    assert preparation.pending and not preparation.done
    with pytest.raises(ValueError, match='not done'):
        preparation.take()
    gate.open.set()
    assert preparation.join(PATIENCE) and preparation.done
    assert preparation.take() == 'engine'
    assert not preparation.pending and not preparation.done and not discarded
    with pytest.raises(ValueError, match='not done'):
        preparation.take()


def test_state_names_the_job_and_its_time(preparation):
    assert preparation.state == ''
    preparation.begin('loading engine viperx', lambda: 'engine')
    assert preparation.join(PATIENCE)
    assert preparation.state.startswith('loading engine viperx for ')
    assert float(preparation.state.split()[-2]) < PATIENCE
    preparation.cancel()
    assert preparation.state == ''


def test_error_is_raised_by_take(preparation):
    def fail() -> str:
        raise EngineError('engine-missing', 'no such engine')

    preparation.begin('loading', fail)
    assert preparation.join(PATIENCE) and preparation.done
    with raises('engine-missing', 'no such engine', of=EngineError):
        preparation.take()
    assert not preparation.pending


def test_cancelled_job_is_interrupted_and_its_result_discarded(preparation, discarded):
    gate, interrupted = Gate('engine'), []
    preparation.begin('loading', gate, lambda: interrupted.append('now'))
    assert gate.begun.wait(PATIENCE)
    preparation.cancel()
    assert interrupted == ['now'] and not preparation.pending and not discarded
    gate.open.set()
    assert preparation.join(PATIENCE)
    assert discarded == ['engine']


def test_result_that_waits_is_discarded_by_cancel(preparation, discarded):
    preparation.begin('loading', lambda: 'engine')
    assert preparation.join(PATIENCE) and preparation.done
    preparation.cancel()
    assert preparation.join(PATIENCE)
    assert discarded == ['engine']


def test_next_job_waits_for_the_cancelled_one(preparation, discarded):
    first, second = Gate('first'), Gate('second')
    second.open.set()
    preparation.begin('first', first)
    assert first.begun.wait(PATIENCE)
    preparation.begin('second', second)
    assert not preparation.join(0.05) and not second.begun.is_set()
    assert preparation.state.startswith('second, after an earlier job, for ')
    first.open.set()
    assert preparation.join(PATIENCE)
    assert preparation.take() == 'second'
    assert discarded == ['first']


def test_job_cancelled_before_its_turn_never_runs(preparation, discarded):
    first, second = Gate('first'), Gate('second')
    preparation.begin('first', first)
    preparation.begin('second', second)
    preparation.cancel()
    first.open.set()
    assert preparation.join(PATIENCE)
    assert not second.begun.is_set() and discarded == ['first']


def test_result_that_was_taken_can_be_discarded(preparation, discarded):
    preparation.begin('loading', lambda: 'engine')
    assert preparation.join(PATIENCE)
    preparation.discard(preparation.take())
    assert preparation.join(PATIENCE)
    assert discarded == ['engine']
