# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Plugin of the suite: markers of fast and live tests, and a summary after SIGTERM.

A test that uses a ROS domain is live. A test with no other marker is fast.
"""

import signal
from collections.abc import Sequence
from typing import Final

import pytest

#: Fixtures that set a ROS domain for real processes.
LIVE: Final = frozenset({'domain', 'running'})
NOT_FAST: Final = frozenset({'alone', 'gpu', 'launch', 'live', 'slow'})


def pytest_configure(config: pytest.Config) -> None:
    """End by SIGTERM as by Ctrl-C, with the summary and the durations."""
    if not hasattr(config, 'workerinput'):  # a worker of xdist is ended by its controller
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test as live or fast."""
    fixtures: Sequence[str] = getattr(item, 'fixturenames', ())
    if not LIVE.isdisjoint(fixtures):
        item.add_marker('live')
    if NOT_FAST.isdisjoint(mark.name for mark in item.iter_markers()):
        item.add_marker('fast')
