# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest


@pytest.fixture(autouse=True)
def in_one_thread(one_thread: None) -> None:
    """Run torch in one thread: tests compare sums of floats, which depend on their order."""
