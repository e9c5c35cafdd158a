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
    """All three sources, stamped that many ms before NOW."""
    made = buffer()
    made.add_image('head', NOW - head * MS, 'head image')
    made.add_image('left_wrist', NOW - wrist * MS, 'wrist image')
    made.add_joints(NOW - joints * MS, positions)
    return made


def chosen(result: Selection[str] | Unknown) -> Selection[str]:
    assert isinstance(result, Selection), result
    return result


def refused(result: Selection[str] | Unknown, kind: str) -> str:
    assert isinstance(result, Unknown), result
    assert result.kind == kind
    return result.reason


def test_a_set_within_the_slop_is_chosen() -> None:
    selection = chosen(filled(head=20, wrist=40, joints=25).select(NOW))
    assert selection.payloads == {'head': 'head image', 'left_wrist': 'wrist image'}
    assert selection.proprio == POSITIONS
    assert selection.stamps == {
        'head': NOW - 20 * MS, 'left_wrist': NOW - 40 * MS, JOINTS: NOW - 25 * MS,
    }  # fmt: skip
    assert selection.stamp == NOW - 20 * MS
    assert selection.skew == pytest.approx(0.02)


def test_an_engine_without_cameras_gets_the_newest_joints() -> None:
    blind: InputBuffer[str] = InputBuffer((), NAMES, SyncSettings())
    blind.add_joints(NOW - 30 * MS, POSITIONS)
    blind.add_joints(NOW - 10 * MS, {**POSITIONS, 'left/waist': 0.7})
    selection = chosen(blind.select(NOW))
    assert selection.proprio['left/waist'] == 0.7
    assert selection.stamps == {JOINTS: NOW - 10 * MS}


def test_every_missing_source_is_named() -> None:
    empty = buffer()
    reason = refused(empty.select(NOW), 'missing')
    assert reason == 'nothing received on /robot/head/image_raw, left_wrist, /robot/joint_states'
    empty.add_image('head', NOW, 'x')
    empty.add_joints(NOW, POSITIONS)
    assert refused(empty.select(NOW), 'missing') == 'nothing received on left_wrist'


def test_a_stale_source_is_named_with_age_and_limit() -> None:
    reason = refused(filled(head=830).select(NOW), 'stale')
    assert reason == 'newest message of /robot/head/image_raw is 0.83 s old, limit 0.3 s'
    assert 'joint_states is 0.60 s old' in refused(filled(joints=600).select(NOW), 'stale')
    chosen(filled(299, 299, 299).select(NOW))


def test_cameras_too_far_apart_are_refused_with_the_measured_skew() -> None:
    reason = refused(filled(head=10, wrist=130, joints=70).select(NOW), 'skew')
    assert reason == (
        '/robot/head/image_raw is 0.120 s newer than left_wrist, at most 0.05 s is allowed'
    )


def test_joints_too_far_from_the_images_are_refused() -> None:
    assert 'joint_states is 0.200 s' in refused(filled(200, 200, 0).select(NOW), 'skew')


def test_while_one_camera_has_sent_and_the_other_not_yet_the_set_before_is_chosen() -> None:
    made = filled(head=100, wrist=100, joints=100)
    made.add_joints(NOW - 2 * MS, POSITIONS)
    made.add_image('head', NOW, 'newer head image')
    selection = chosen(made.select(NOW))
    assert selection.payloads['head'] == 'head image'
    assert set(selection.stamps.values()) == {NOW - 100 * MS}
    made.add_image('left_wrist', NOW, 'newer wrist image')
    assert chosen(made.select(NOW)).payloads['head'] == 'newer head image'


def test_joints_nearest_to_the_newest_image_are_chosen() -> None:
    made = filled(head=30, wrist=40, joints=300)
    for age in (60, 45, 22, 5):
        made.add_joints(NOW - age * MS, {name: float(age) for name in NAMES})
    assert chosen(made.select(NOW)).proprio['left/waist'] == 22.0


def test_extra_joints_are_ignored_and_order_does_not_matter() -> None:
    made = filled(positions={'gripper': math.nan, 'right/waist': 2.0, 'left/waist': 1.0})
    proprio = chosen(made.select(NOW)).proprio
    assert list(proprio.items()) == [('left/waist', 1.0), ('right/waist', 2.0)]


@pytest.mark.parametrize('broken', [math.nan, math.inf, -math.inf])
def test_a_joint_that_is_not_finite_is_refused_by_name(broken: float) -> None:
    made = filled(positions={**POSITIONS, 'right/waist': broken})
    reason = refused(made.select(NOW), 'input')
    assert reason == f'/robot/joint_states is not finite: right/waist = {broken}'


def test_a_missing_joint_is_refused_by_name_with_those_that_are_there() -> None:
    made = filled(positions={'left/waist': 0.0, 'waist': 0.0})
    reason = refused(made.select(NOW), 'input')
    assert reason == '/robot/joint_states lacks right/waist; it has left/waist, waist'


def test_stamps_of_zero_are_refused_and_reset_nothing() -> None:
    made = buffer()
    made.add_image('head', 0, 'x')
    made.add_image('left_wrist', NOW, 'x')
    made.add_joints(NOW, POSITIONS)
    assert refused(made.select(NOW), 'input') == (
        'stamp of /robot/head/image_raw is 0: its driver must set it'
    )
    good = filled()
    good.add_image('head', 0, 'x')
    assert good.resets == 0
    chosen(good.select(NOW))


def test_stamps_ahead_of_time_are_refused() -> None:
    reason = refused(filled(head=-3_600_000).select(NOW), 'input')
    assert reason.startswith('stamp of /robot/head/image_raw is 3600.00 s ahead of now')
    chosen(filled(-50, -50, -50).select(NOW))


def test_one_stamp_ahead_of_time_is_survived() -> None:
    made = filled()
    made.add_image('head', NOW + 3_600_000 * MS, 'x')
    later = NOW + 100 * MS
    for camera in CAMERAS:
        made.add_image(camera, later, 'new')
    made.add_image('head', later + MS, 'newest')
    made.add_image('left_wrist', later + MS, 'newest')
    made.add_joints(later, POSITIONS)
    chosen(made.select(later + MS))


def test_time_that_jumps_back_empties_all_buffers_once_and_output_resumes() -> None:
    made = filled()
    back = NOW - 60_000 * MS
    made.add_image('head', back, 'x')
    assert made.resets == 1
    assert 'left_wrist' in refused(made.select(back), 'missing')
    made.add_image('left_wrist', back, 'x')
    made.add_joints(back, POSITIONS)
    assert made.resets == 1
    chosen(made.select(back))


def test_a_message_that_comes_late_is_left_out() -> None:
    made = filled()
    made.add_image('head', NOW - 300 * MS, 'late')
    assert made.resets == 0
    assert chosen(made.select(NOW)).payloads['head'] == 'head image'


def test_exactly_the_inputs_with_given_stamps_are_chosen_from_a_recording() -> None:
    made = buffer(keep_all=True)
    for i in range(50):
        for camera in CAMERAS:
            made.add_image(camera, NOW + i * 100 * MS, f'{camera} {i}')
        made.add_joints(NOW + i * 100 * MS, {name: float(i) for name in NAMES})
    stamps = {'left_wrist': NOW + 300 * MS, 'head': NOW + 400 * MS, JOINTS: NOW + 500 * MS}
    selection = chosen(made.select_at(stamps))
    assert selection.payloads == {'head': 'head 4', 'left_wrist': 'left_wrist 3'}
    assert selection.proprio['left/waist'] == 5.0
    assert selection.stamps == stamps
    assert 'no message at 7' in refused(made.select_at({**stamps, 'head': 7}), 'missing')
    assert 'no message at None' in refused(made.select_at({}), 'missing')


def test_a_selection_can_be_chosen_again_by_its_stamps() -> None:
    made = filled(head=20, wrist=40, joints=25)
    selection = chosen(made.select(NOW))
    assert made.select_at(selection.stamps) == selection


def test_a_camera_nobody_asked_for_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="camera is 'tail'"):
        buffer().add_image('tail', NOW, 'x')


def test_settings_are_checked() -> None:
    with raises('setting-out-of-range', 'slop', -0.1, 'at least 0'):
        InputBuffer(CAMERAS, NAMES, SyncSettings(slop=-0.1))


ACTIONS = st.lists(
    st.tuples(st.sampled_from([*CAMERAS, JOINTS]), st.integers(-3_000, 3_000)), max_size=60
)


@given(ACTIONS, st.integers(-1000, 1000))
def test_whatever_comes_what_is_chosen_is_fresh_and_within_the_slop(
    actions: list[tuple[str, int]], now: int
) -> None:
    made, sync = buffer(), SyncSettings()
    for name, offset in actions:
        if name == JOINTS:
            made.add_joints(NOW + offset * MS, POSITIONS)
        else:
            made.add_image(name, NOW + offset * MS, 'x')
    result = made.select(NOW + now * MS)
    if isinstance(result, Selection):
        assert result.skew <= sync.slop
        assert list(result.stamps) == [*CAMERAS, JOINTS]
        newest_age = (NOW + now * MS - result.stamp) * 1e-9
        assert -sync.max_future <= newest_age <= sync.stale + sync.slop


@given(st.dictionaries(st.sampled_from(['a', 'b', 'c', 'd']), st.floats()))
def test_joints_are_matched_by_name_or_refused(positions: dict[str, float]) -> None:
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
