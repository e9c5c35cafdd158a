# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DDS domains of the live tests."""

import itertools

import pytest
from support import ros


@pytest.fixture
def first_turn(monkeypatch):
    """Return a function that lets the domains of this worker start again at the first one."""
    monkeypatch.delenv('PYTEST_XDIST_WORKER', raising=False)
    monkeypatch.delenv('PYTEST_XDIST_WORKER_COUNT', raising=False)
    return lambda: monkeypatch.setattr(ros, '_turns', itertools.count(0))


def test_domain_that_another_suite_uses_is_left_out(first_turn):
    first_turn()
    with ros.reserved_domain() as one:
        first_turn()
        with ros.reserved_domain() as other:
            assert other != one and {one, other} <= set(range(1, 102))


def test_domain_of_the_suite_itself_is_left_out(first_turn, monkeypatch):
    monkeypatch.setattr(ros, 'BASE', 1)  # else the first one
    first_turn()
    with ros.reserved_domain() as domain:
        assert 1 < domain <= 101


def test_error_of_no_free_domain_names_the_remedy(first_turn, monkeypatch):
    monkeypatch.setenv('PYTEST_XDIST_WORKER_COUNT', '101')  # one domain for each
    monkeypatch.setattr(ros, 'BASE', 1)
    first_turn()
    with pytest.raises(RuntimeError, match='wait until one ends'), ros.reserved_domain():
        pass
