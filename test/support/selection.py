# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Plugin of the suite: markers of fast and live tests, and a summary after SIGTERM.

A test that uses a ROS domain is live. A test with no other marker is fast.
"""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

#: Fixtures that set a ROS domain for real processes.
LIVE: Final = frozenset({'domain', 'running'})
NOT_FAST: Final = frozenset({'alone', 'gpu', 'launch', 'live', 'medium', 'slow'})
#: Rooms without fast tests.
MEDIUM: Final = frozenset({'benchmarks', 'export', 'model', 'sim', 'training', 'workflow'})
HERE: Final = Path(__file__).parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """End by SIGTERM as by Ctrl-C, with the summary and the durations."""
    if not hasattr(config, 'workerinput'):  # a worker of xdist is ended by its controller
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out rooms without fast tests if only those are selected: their imports take long."""
    if config.getoption('markexpr') != 'fast':
        return None
    return True if collection_path.parent == HERE and collection_path.name in MEDIUM else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix files with live tests, which wait, with others, which compute; live ones end earlier."""
    live = {item.path for item in items if item.get_closest_marker('live')}
    places: dict[Path, float] = {}
    for waiting, share in ((True, 0.8), (False, 1.0)):
        files = list(dict.fromkeys(i.path for i in items if (i.path in live) == waiting))
        places |= {path: share * rank / len(files) for rank, path in enumerate(files)}
    items.sort(key=lambda item: places[item.path])


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test as live, medium or fast."""
    if HERE in item.path.parents and item.path.relative_to(HERE).parts[0] in MEDIUM:
        item.add_marker('medium')
    fixtures: Sequence[str] = getattr(item, 'fixturenames', ())
    if not LIVE.isdisjoint(fixtures):
        item.add_marker('live')
    if NOT_FAST.isdisjoint(mark.name for mark in item.iter_markers()):
        item.add_marker('fast')
