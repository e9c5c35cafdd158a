# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.core.inputs import JOINTS, InputBuffer, Selection, SyncSettings
from viva_ros.core.normalize import match_joints
from viva_ros.core.observation import Unknown

MS = 1_000_000
NOW = 1_000_000 * MS
CAMERAS = ('head', 'left_wrist')
NAMES = ('left/waist', 'right/waist')
POSITIONS = {'left/waist': 0.1, 'right/waist': -0.2}


def buffer(**changes: bool) -> InputBuffer[str]:
    topics = {'head': '/robot/head/image_raw', JOINTS: '/robot/joint_states'}
    return InputBuffer(CAMERAS, NAMES, SyncSettings(), topics, **changes)


def filled(
    head: int = 0, wrist: int = 0, joints: int = 0, positions: dict[str, float] = POSITIONS
) -> InputBuffer[str]:
    """Return a buffer with one message of each source, so many ms before NOW."""
    inputs = buffer()
    inputs.add_image('head', NOW - head * MS, 'head image')
    inputs.add_image('left_wrist', NOW - wrist * MS, 'wrist image')
    inputs.add_joints(NOW - joints * MS, positions)
    return inputs


def selected(result: Selection[str] | Unknown) -> Selection[str]:
    assert isinstance(result, Selection), result
    return result


def rejected(result: Selection[str] | Unknown, kind: str) -> str:
    assert isinstance(result, Unknown), result
    assert result.kind == kind
    return result.reason


def test_set_within_the_slop_is_selected() -> None:
    selection = selected(filled(head=20, wrist=40, joints=25).select(NOW))
    assert selection.payloads == {'head': 'head image', 'left_wrist': 'wrist image'}
    assert selection.proprio == POSITIONS
    assert selection.stamps == {
        'head': NOW - 20 * MS, 'left_wrist': NOW - 40 * MS, JOINTS: NOW - 25 * MS,
    }  # fmt: skip
    assert selection.stamp == NOW - 20 * MS
    assert selection.skew == pytest.approx(0.02)


def test_without_cameras_the_newest_joints_are_selected() -> None:
    blind: InputBuffer[str] = InputBuffer((), NAMES, SyncSettings())
    blind.add_joints(NOW - 30 * MS, POSITIONS)
    blind.add_joints(NOW - 10 * MS, {**POSITIONS, 'left/waist': 0.2})
    selection = selected(blind.select(NOW))
    assert selection.proprio['left/waist'] == 0.2
    assert selection.stamps == {JOINTS: NOW - 10 * MS}


def test_missing_reason_names_every_source() -> None:
    empty = buffer()
    reason = rejected(empty.select(NOW), 'missing')
    assert reason == 'nothing received on /robot/head/image_raw, left_wrist, /robot/joint_states'
    empty.add_image('head', NOW, 'x')
    empty.add_joints(NOW, POSITIONS)
    assert rejected(empty.select(NOW), 'missing') == 'nothing received on left_wrist'


def test_stale_reason_names_source_age_and_limit() -> None:
    reason = rejected(filled(head=830).select(NOW), 'stale')
    assert reason == 'newest message of /robot/head/image_raw is 0.83 s old, limit 0.3 s'
    assert 'joint_states is 0.60 s old' in rejected(filled(joints=600).select(NOW), 'stale')
    selected(filled(299, 299, 299).select(NOW))


def test_camera_skew_above_slop_is_rejected() -> None:
    reason = rejected(filled(head=10, wrist=130, joints=70).select(NOW), 'skew')
    assert reason == (
        '/robot/head/image_raw is 0.120 s newer than left_wrist, at most 0.05 s is allowed'
    )


def test_joint_skew_above_slop_is_rejected() -> None:
    assert 'joint_states is 0.200 s' in rejected(filled(200, 200, 0).select(NOW), 'skew')


def test_previous_set_is_selected_until_all_cameras_have_sent() -> None:
    inputs = filled(head=100, wrist=100, joints=100)
    inputs.add_joints(NOW - 2 * MS, POSITIONS)
    inputs.add_image('head', NOW, 'newer head image')
    selection = selected(inputs.select(NOW))
    assert selection.payloads['head'] == 'head image'
    assert set(selection.stamps.values()) == {NOW - 100 * MS}
    inputs.add_image('left_wrist', NOW, 'newer wrist image')
    assert selected(inputs.select(NOW)).payloads['head'] == 'newer head image'


def test_joints_nearest_to_the_newest_image_are_selected() -> None:
    inputs = filled(head=30, wrist=40, joints=300)
    for age in (60, 45, 22, 5):
        inputs.add_joints(NOW - age * MS, dict.fromkeys(NAMES, age * 0.001))
    assert selected(inputs.select(NOW)).proprio['left/waist'] == 0.022


def test_extra_joints_are_ignored_and_order_does_not_matter() -> None:
    inputs = filled(positions={'gripper': math.nan, 'right/waist': 2.0, 'left/waist': 1.0})
    proprio = selected(inputs.select(NOW)).proprio
    assert list(proprio.items()) == [('left/waist', 1.0), ('right/waist', 2.0)]


@pytest.mark.parametrize('broken', [math.nan, math.inf, -math.inf])
def test_non_finite_joint_is_rejected_by_name(broken: float) -> None:
    inputs = filled(positions={**POSITIONS, 'right/waist': broken})
    reason = rejected(inputs.select(NOW), 'input')
    assert reason == f'/robot/joint_states is not finite: right/waist = {broken}'


def test_missing_joint_is_rejected_with_the_known_names() -> None:
    inputs = filled(positions={'left/waist': 0.0, 'waist': 0.0})
    reason = rejected(inputs.select(NOW), 'input')
    assert reason == '/robot/joint_states lacks right/waist; it has left/waist, waist'


def test_zero_stamp_is_rejected_and_resets_nothing() -> None:
    inputs = buffer()
    inputs.add_image('head', 0, 'x')
    inputs.add_image('left_wrist', NOW, 'x')
    inputs.add_joints(NOW, POSITIONS)
    assert rejected(inputs.select(NOW), 'input') == (
        'stamp of /robot/head/image_raw is 0: its driver must set it'
    )
    good = filled()
    good.add_image('head', 0, 'x')
    assert good.resets == 0
    selected(good.select(NOW))


def test_stamp_ahead_of_time_is_rejected() -> None:
    reason = rejected(filled(head=-3_600_000).select(NOW), 'input')
    assert reason.startswith('stamp of /robot/head/image_raw is 3600.00 s ahead of now')
    selected(filled(-50, -50, -50).select(NOW))


def test_selection_recovers_from_one_stamp_ahead_of_time() -> None:
    inputs = filled()
    inputs.add_image('head', NOW + 3_600_000 * MS, 'x')
    later = NOW + 100 * MS
    for camera in CAMERAS:
        inputs.add_image(camera, later, 'new')
    inputs.add_image('head', later + MS, 'newest')
    inputs.add_image('left_wrist', later + MS, 'newest')
    inputs.add_joints(later, POSITIONS)
    selected(inputs.select(later + MS))


def test_time_jump_back_empties_all_buffers_once() -> None:
    inputs = filled()
    back = NOW - 60_000 * MS
    inputs.add_image('head', back, 'x')
    assert inputs.resets == 1
    assert 'left_wrist' in rejected(inputs.select(back), 'missing')
    inputs.add_image('left_wrist', back, 'x')
    inputs.add_joints(back, POSITIONS)
    assert inputs.resets == 1
    selected(inputs.select(back))


def test_late_message_is_ignored() -> None:
    inputs = filled()
    inputs.add_image('head', NOW - 300 * MS, 'late')
    assert inputs.resets == 0
    assert selected(inputs.select(NOW)).payloads['head'] == 'head image'


def test_refused_image_makes_values_unknown_until_the_next() -> None:
    inputs = filled()
    inputs.refuse_image('head', NOW, 'no image until the next key frame')
    text = rejected(inputs.select(NOW), 'input')
    assert text == '/robot/head/image_raw: no image until the next key frame'
    assert 'old' in rejected(inputs.select(NOW + 2000 * MS), 'stale')
    inputs.add_image('head', NOW + 10 * MS, 'next')
    assert selected(inputs.select(NOW + 10 * MS)).payloads['head'] == 'next'
    inputs.refuse_image('left_wrist', NOW - 2000 * MS, 'the clock was set')
    assert inputs.resets == 1


def test_refused_image_explains_a_camera_without_images() -> None:
    inputs = buffer()
    inputs.refuse_image('head', NOW, 'no key frame')
    assert 'no key frame' in rejected(inputs.select(NOW), 'input')
    assert inputs.image_fault('head', NOW) == 'no key frame'
    assert inputs.image_fault('head', NOW + 2000 * MS) == ''  # the camera is silent
    inputs.add_image('head', NOW + 10 * MS, 'next')
    assert inputs.image_fault('head', NOW + 10 * MS) == ''


def test_recorded_inputs_are_selected_by_their_stamps() -> None:
    inputs = buffer(keep_all=True)
    for i in range(50):
        for camera in CAMERAS:
            inputs.add_image(camera, NOW + i * 100 * MS, f'{camera} {i}')
        inputs.add_joints(NOW + i * 100 * MS, {name: float(i) for name in NAMES})
    stamps = {'left_wrist': NOW + 300 * MS, 'head': NOW + 400 * MS, JOINTS: NOW + 500 * MS}
    selection = selected(inputs.select_at(stamps))
    assert selection.payloads == {'head': 'head 4', 'left_wrist': 'left_wrist 3'}
    assert selection.proprio['left/waist'] == 5.0
    assert selection.stamps == stamps
    assert 'no message at 7' in rejected(inputs.select_at({**stamps, 'head': 7}), 'missing')
    assert 'no message at None' in rejected(inputs.select_at({}), 'missing')


def test_selection_is_reproduced_from_its_stamps() -> None:
    inputs = filled(head=20, wrist=40, joints=25)
    selection = selected(inputs.select(NOW))
    assert inputs.select_at(selection.stamps) == selection


def test_unknown_camera_raises_value_error() -> None:
    with pytest.raises(ValueError, match="camera is 'tail'"):
        buffer().add_image('tail', NOW, 'x')


def test_invalid_sync_settings_are_refused() -> None:
    with raises('setting-out-of-range', 'slop', -0.1, 'at least 0'):
        InputBuffer(CAMERAS, NAMES, SyncSettings(slop=-0.1))


ACTIONS = st.lists(
    st.tuples(st.sampled_from([*CAMERAS, JOINTS]), st.integers(-3_000, 3_000)), max_size=60
)


@given(ACTIONS, st.integers(-1000, 1000))
def test_any_selection_is_fresh_and_within_the_slop(
    actions: list[tuple[str, int]], now: int
) -> None:
    inputs, sync = buffer(), SyncSettings()
    for name, offset in actions:
        if name == JOINTS:
            inputs.add_joints(NOW + offset * MS, POSITIONS)
        else:
            inputs.add_image(name, NOW + offset * MS, 'x')
    result = inputs.select(NOW + now * MS)
    if isinstance(result, Selection):
        assert result.skew <= sync.slop
        assert list(result.stamps) == [*CAMERAS, JOINTS]
        newest_age = (NOW + now * MS - result.stamp) * 1e-9
        assert -sync.max_future <= newest_age <= sync.max_age + sync.slop


@given(st.dictionaries(st.sampled_from(['a', 'b', 'c', 'd']), st.floats()))
def test_joints_are_matched_by_name_or_rejected(positions: dict[str, float]) -> None:
    good = all(name in positions and math.isfinite(positions[name]) for name in ('b', 'a'))
    if good:
        assert match_joints(positions, ('b', 'a')) == {'b': positions['b'], 'a': positions['a']}
    else:
        with pytest.raises(InputError) as caught:
            match_joints(positions, ('b', 'a'))
        missing = {'a', 'b'} - positions.keys()
        assert caught.value.code == ('joints-missing' if missing else 'joints-not-finite')
        assert 'joint_states' in caught.value.text
        assert all(name in caught.value.text for name in missing)
