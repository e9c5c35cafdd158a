# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joint states of several publishers, merged by name for the live monitor."""

from collections.abc import Mapping

import pytest

from viva_ros.core.inputs import JOINTS, InputBuffer, Selection, SyncSettings
from viva_ros.core.observation import Unknown

pytestmark = pytest.mark.fast

MS = 1_000_000
NOW = 1_000_000 * MS
NAMES = ('left', 'right')


def buffer(**changes: bool) -> InputBuffer[str]:
    return InputBuffer(('head',), NAMES, SyncSettings(), {JOINTS: '/joint_states'}, **changes)


def add(inputs: InputBuffer[str], age: int, positions: Mapping[str, float]) -> None:
    inputs.add_joints(NOW - age * MS, positions)


def selected(inputs: InputBuffer[str], now: int = NOW) -> Selection[str]:
    found = inputs.select(now)
    assert isinstance(found, Selection), found
    return found


def unknown(inputs: InputBuffer[str], now: int = NOW) -> tuple[str, str]:
    found = inputs.select(now)
    assert isinstance(found, Unknown), found
    return found.kind, found.reason


def test_arms_of_two_messages_are_merged_with_their_stamps() -> None:
    inputs = buffer()
    inputs.add_image('head', NOW - 10 * MS, 'image')
    add(inputs, 30, {'left': 0.1})
    add(inputs, 25, {'right': 0.2, 'other': 9.0})
    found = selected(inputs)
    assert found.proprio == {'left': 0.1, 'right': 0.2}
    assert found.stamps == {
        'head': NOW - 10 * MS, JOINTS: NOW - 30 * MS, f'{JOINTS}:right': NOW - 25 * MS,
    }  # fmt: skip
    assert found.skew == pytest.approx(0.02)


def test_each_joint_has_the_position_nearest_to_the_image() -> None:
    inputs = buffer()
    inputs.add_image('head', NOW - 40 * MS, 'image')
    for age in (80, 60, 45, 20):
        add(inputs, age, {'left': age * 1e-3})
        add(inputs, age - 8, {'right': 1.0 + age * 1e-3})
    found = selected(inputs)
    assert found.proprio == {'left': 0.045, 'right': 1.045}


def test_full_and_partial_messages_give_the_nearest_of_each_joint() -> None:
    inputs = buffer()
    inputs.add_image('head', NOW, 'image')
    add(inputs, 40, {'left': 0.1, 'right': 0.2})
    add(inputs, 10, {'right': 0.3})
    assert selected(inputs).proprio == {'left': 0.1, 'right': 0.3}


def test_arm_that_never_comes_is_missing_by_name() -> None:
    inputs = buffer()
    inputs.add_image('head', NOW, 'image')
    add(inputs, 5, {'left': 0.1, 'hand': 0.0})
    assert unknown(inputs) == ('input', '/joint_states lacks right; it has left, hand')


def test_arm_that_dies_is_stale_by_name() -> None:
    inputs = buffer()
    for age in range(600, -1, -20):
        inputs.add_image('head', NOW - age * MS, 'image')
        add(inputs, age, {'left': 0.1})
        if age > 400:
            add(inputs, age, {'right': 0.2})
    assert unknown(inputs) == (
        'stale', 'newest message of /joint_states with right is 0.42 s old, limit 0.3 s'
    )  # fmt: skip


def test_messages_of_other_joints_do_not_hide_an_absent_robot() -> None:
    inputs = buffer()
    add(inputs, 600, {'left': 0.1, 'right': 0.2})
    inputs.add_image('head', NOW, 'image')
    add(inputs, 1, {'mimic': 0.0})
    assert unknown(inputs)[0] == 'stale'


def test_zeros_of_a_second_publisher_are_not_believed() -> None:
    inputs, kinds = buffer(), []
    for step in range(60):
        stamp = NOW + 20 * MS * step
        inputs.add_image('head', stamp, 'image')
        inputs.add_joints(stamp, {'left': 0.8 + step * 1e-3, 'right': 0.5})
        if step % 10 == 5:
            inputs.add_joints(stamp + MS, {'right': 0.0, 'left': 0.0})
        found = inputs.select(stamp + 2 * MS)
        if isinstance(found, Selection):
            assert found.proprio['left'] > 0.7
        kinds.append(isinstance(found, Selection))
    assert kinds[:5] == [True] * 5 and not any(kinds[5:])
    assert 'do two publishers share the topic?' in inputs.joint_fault(NOW + 20 * MS * 60)


def test_second_publisher_ahead_of_time_is_not_believed() -> None:
    inputs, known = buffer(), 0
    for step in range(100):
        stamp = NOW + 20 * MS * step
        inputs.add_image('head', stamp, 'image')
        inputs.add_joints(stamp, {'left': 1.0, 'right': 0.9})
        if step > 10:
            inputs.add_joints(stamp + 60 * MS, {'left': 0.0, 'right': 0.0})
        known += isinstance(inputs.select(stamp + 2 * MS), Selection)
    assert known <= 11
    assert 'do two publishers share the topic?' in inputs.joint_fault(NOW + 20 * MS * 99)


def test_joints_are_believed_again_after_one_jump() -> None:
    inputs = buffer()
    for step in range(40):
        stamp = NOW + 20 * MS * step
        inputs.add_image('head', stamp, 'image')
        inputs.add_joints(stamp, {'left': 0.0 if step < 10 else 1.0, 'right': 0.5})
        found = inputs.select(stamp)
        assert isinstance(found, Unknown) == (10 <= step < 25), step  # for 0.3 s


def test_steady_fast_motion_is_unknown_at_its_start_alone() -> None:
    inputs = buffer()
    for step in range(40):
        stamp = NOW + 20 * MS * step
        inputs.add_image('head', stamp, 'image')
        inputs.add_joints(stamp, {'left': step * 0.2, 'right': 0.5})  # 10 rad/s
        found = inputs.select(stamp)
        assert isinstance(found, Unknown) == (1 <= step < 16), step


def test_full_turn_of_a_joint_is_no_jump() -> None:
    inputs = buffer()
    inputs.add_image('head', NOW, 'image')
    add(inputs, 20, {'left': 3.14, 'right': 0.0})
    add(inputs, 0, {'left': -3.14, 'right': 0.0})
    assert selected(inputs).proprio['left'] == -3.14


def test_refused_message_makes_values_unknown_with_its_reason() -> None:
    inputs = buffer()
    inputs.add_image('head', NOW, 'image')
    add(inputs, 20, {'left': 0.1, 'right': 0.2})
    inputs.refuse_joints(NOW, 'a joint twice')
    assert unknown(inputs) == ('input', 'a joint twice')
    later = NOW + 310 * MS
    inputs.add_image('head', later, 'image')
    inputs.add_joints(later, {'left': 0.1, 'right': 0.2})
    assert selected(inputs, later).proprio['left'] == 0.1


def test_merged_joints_are_reproduced_from_their_stamps() -> None:
    inputs = buffer(keep_all=True)
    found = []
    for step in range(30):
        stamp = NOW + 20 * MS * step
        inputs.add_image('head', stamp, f'image {step}')
        inputs.add_joints(stamp - 6 * MS, {'left': step * 1e-3})
        inputs.add_joints(stamp - 6 * MS - 11 * MS * (step % 2), {'right': 1.0 + step * 1e-3})
        found.append(selected(inputs, stamp))
    for one in found:
        again = inputs.select_at(one.stamps)
        assert isinstance(again, Selection), again
        assert (again.proprio, again.stamps) == (one.proprio, one.stamps)
    wrong = {**found[3].stamps, f'{JOINTS}:right': 7}
    assert isinstance(inputs.select_at(wrong), Unknown)
