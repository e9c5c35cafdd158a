# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A minute of random disturbances breaks no invariant; `scripts/nightly` has half an hour.

VIVA_CHAOS_SEED chooses other disturbances.
"""

import os

import pytest
from support.ros import enter_domain

from benchmarks.chaos import invariants, plot
from benchmarks.chaos.main import run

SECONDS = 60.0
SEED = int(os.environ.get('VIVA_CHAOS_SEED', '1'))


@pytest.mark.live
@pytest.mark.alone
@pytest.mark.timeout(600)
def test_disturbed_watch_breaks_no_invariant(shared_memory, tmp_path):
    with pytest.MonkeyPatch.context() as patch, enter_domain(patch, tmp_path / 'home'):
        history = run(tmp_path, SECONDS, SEED)
    assert len(history.disturbances) > 3 and len(history.values) > SECONDS
    plot.draw(history, [], tmp_path / 'chaos.png')
    found = invariants.violations(history, invariants.Limits())
    assert found == [], '\n'.join(f'{one.at - history.begin:.1f} s: {one}' for one in found)
