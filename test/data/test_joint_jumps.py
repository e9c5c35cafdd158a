# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joints that jump: the checks of an import against the monitor, on the same messages."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.core.joint_buffer import JointBuffer
from viva_ros.core.synchronization import SyncSettings
from viva_ros.data.episode import Joints
from viva_ros.data.joint_groups import speed_faults

pytestmark = pytest.mark.fast

MS = 1_000_000
NAMES = ('arm', 'hand')
MOTIONS = st.lists(
    st.tuples(
        st.sampled_from([5, 20, 100, 700]),  # ms
        st.tuples(*[st.sampled_from([0.0, 0.02, 0.5, -0.5, 2 * np.pi])] * 2),  # rad
    ),
    min_size=1, max_size=12,
)  # fmt: skip


def monitored(stamps: np.ndarray, positions: np.ndarray, limits: Mapping[str, float]) -> list[str]:
    """Return what the monitor reports of each message."""
    buffer = JointBuffer(NAMES, 'joint_states', SyncSettings(), False, limits)
    found = []
    for stamp, row in zip(stamps.tolist(), positions.tolist(), strict=True):
        buffer.add(stamp, dict(zip(NAMES, row, strict=True)))
        found.append(buffer.fault(stamp).removeprefix('joint_states: '))
    return found


def refused(stamps: np.ndarray, positions: np.ndarray, limits: Mapping[str, float]) -> list[str]:
    """Return the reasons for which an import refuses the messages."""
    return speed_faults([Joints(stamps, NAMES, positions)], limits, NAMES)


@given(MOTIONS, st.sampled_from([{}, {'arm': 4.0}, {'arm': 30.0}, {'arm': 30.0, 'hand': 30.0}]))
def test_import_refuses_jumps_as_the_monitor_does(
    motions: list[tuple[int, tuple[float, float]]], limits: dict[str, float]
) -> None:
    stamps = 10**9 + np.cumsum([0, *(ms for ms, _ in motions)]) * MS
    positions = np.cumsum([(0.0, 0.0), *(steps for _, steps in motions)], axis=0)
    found = [text for text in monitored(stamps, positions, limits) if text]
    assert bool(refused(stamps, positions, limits)) == bool(found)


def test_one_jump_of_a_joint_without_a_limit_is_refused() -> None:
    stamps = 10**9 + np.arange(40) * 20 * MS
    positions = np.where(np.arange(40)[:, None] < 10, 0.0, [[1.0, 0.0]])
    first = next(text for text in monitored(stamps, positions, {}) if text)
    assert first.startswith('arm jumped from 0.000 to 1.000 within 0.020 s at stamp 1.200 s')
    assert refused(stamps, positions, {}) == [first]
    assert refused(stamps, positions, {'arm': 60.0}) == []
    assert not any(monitored(stamps, positions, {'arm': 60.0}))
