# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of several layers need."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope='module', autouse=True)
def shared_memory() -> Iterator[None]:
    """Remove what killed processes leave there: it is memory, and the tests kill many."""
    yield
    from viva_ros.nodes import leftovers

    leftovers.remove()


@pytest.fixture(scope='session')
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder like the published Wan2.2-TI2V, of tiny sizes; not to be written to."""
    from viva_ros.model.presets import WAN_TINY
    from viva_ros.offline import random_snapshot

    folder = tmp_path_factory.mktemp('wan') / 'snapshot'
    random_snapshot.write(folder, WAN_TINY, shard='20KB')
    return folder
