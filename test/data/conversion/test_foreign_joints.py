# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joints of other robots: several topics and publishers, without names, stamps or positions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.errors import raises
from support.foreign_bags import CAMERA, EPOCH, LEFT, MS, RIGHT, BagOfMessages, two_arms
from support.lerobot_datasets import number_of, write_lerobot

from viva_ros.cli.main import main
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.convert import ImportEmptyError, import_all
from viva_ros.data.conversion.raw_episode import raw_episodes
from viva_ros.data.episode import Annotation, Episode, save, sidecar
from viva_ros.data.joint_groups import held
from viva_ros.data.messages import deserialise
from viva_ros.data.open import open_recording, open_unmapped
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import LabelRule, load_map

pytestmark = pytest.mark.fast

CAMERAS = 'rate: 10\ntask: fold\ncameras: {top: /top/image/compressed}\n'
ONE = f'{CAMERAS}joints: [{{topic: /joint_states}}]\n'
SUCCESS = Outcomes(success=True)


def imported(tmp_path: Path, bag: BagOfMessages, text: str) -> Episode:
    path = bag.write(tmp_path / 'bag')
    (tmp_path / 'map.yaml').write_text(text)
    import_all([path], load_map(tmp_path / 'map.yaml'), SUCCESS, tmp_path / 'set')
    return episodes_of(open_recording(tmp_path / 'set/episode_000000'))[0]


def refusal(tmp_path: Path, bag: BagOfMessages, text: str) -> str:
    with pytest.raises(ImportEmptyError) as caught:
        imported(tmp_path, bag, text)
    return '; '.join(reason for row in caught.value.rows for reason in row['refused'])


def in_place(tmp_path: Path, bag: BagOfMessages, text: str) -> Episode:
    tmp_path.mkdir(exist_ok=True)
    path = bag.write(tmp_path / 'bag')
    (tmp_path / 'viva_map.yaml').write_text(text)
    return episodes_of(open_recording(path))[0]


def check_two_arms(episode: Episode) -> None:
    """Check that each frame has the joints of the step that its picture shows."""
    steps = [number_of(image) for image in episode.cameras['top'].images]
    assert len(steps) > 15
    columns = [episode.joints.names.index(name) for name in (*LEFT, *RIGHT)]
    rows = held(episode.joints.stamps, episode.cameras['top'].stamps)
    steps, rows = np.array(steps)[rows >= 0], rows[rows >= 0]
    found = episode.joints.positions[rows][:, columns]
    assert np.abs(found[:, 0] - steps / 1000.0).max() < 0.0055  # 5 steps of the grid
    assert np.abs(found[:, 2] - found[:, 0] - 1.0).max() < 0.0015


def test_arms_on_one_topic_are_merged_by_name(tmp_path: Path) -> None:
    episode = imported(tmp_path, two_arms(), ONE)
    check_two_arms(episode)
    assert set(episode.joints.names) == {*LEFT, *RIGHT}


def test_arms_in_place_keep_their_own_stamps(tmp_path: Path) -> None:
    episode = in_place(tmp_path, two_arms(), ONE)
    check_two_arms(episode)
    stamps = {group.names: int(group.stamps[0]) - EPOCH for group in episode.groups}
    assert stamps == {LEFT: MS, RIGHT: 8 * MS}
    assert episode.faults == ()


def test_joints_in_place_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def counted(kind: str, *rest: Any) -> Any:
        read.append(kind)
        return deserialise(kind, *rest)

    path = two_arms('/left/joints', '/right/joints').write(tmp_path / 'bag')
    text = f'{CAMERAS}joints:\n - {{topic: /left/joints}}\n - {{topic: /right/joints}}\n'
    (tmp_path / 'viva_map.yaml').write_text(text)
    monkeypatch.setattr('viva_ros.data.recording.deserialise', counted)
    open_recording(path)
    assert read == ['sensor_msgs/msg/JointState'] * 200


def test_equal_names_on_two_topics_get_prefixes(tmp_path: Path) -> None:
    bag = two_arms('/left/joints', '/right/joints', names=(('a', 'b'), ('a', 'b')))
    both = f'{CAMERAS}joints:\n - {{topic: /left/joints}}\n - {{topic: /right/joints}}\n'
    assert 'has joint a, b twice: set "prefix"' in refusal(tmp_path, bag, both)
    text = both.replace('left/joints', 'left/joints, prefix: left_').replace(
        'right/joints', 'right/joints, prefix: right_'
    )
    (tmp_path / 'map.yaml').write_text(text)
    path, out = tmp_path / 'bag', tmp_path / 'named'
    import_all([path], load_map(tmp_path / 'map.yaml'), SUCCESS, out)
    check_two_arms(episodes_of(open_recording(out / 'episode_000000'))[0])


@pytest.mark.parametrize('wrong', [(0.0, 0.0), (1.0, 0.5)])
def test_second_publisher_of_all_joints_is_refused(tmp_path: Path, wrong: Any) -> None:
    bag = two_arms(steps=())
    for k in range(100):
        bag.joints('/joint_states', 20 * MS * k + MS, LEFT, [0.3 + k / 1000.0, 0.9])
        if k % 7 == 3:
            bag.joints('/joint_states', 20 * MS * k + 4 * MS, LEFT[::-1], wrong)
        if k % 5 == 0:
            bag.image(20 * MS * k + 9 * MS, k)
    assert 'do two publishers share the topic?' in refusal(tmp_path, bag, ONE)


def test_two_positions_of_a_joint_at_one_stamp_are_refused(tmp_path: Path) -> None:
    bag = two_arms()
    bag.joints('/joint_states', 20 * MS * 50 + MS, (*LEFT, 'x'), [0.9, 0.9, 0.0])
    reason = refusal(tmp_path, bag, ONE)
    assert 'left_a is 0.050 and 0.900 at stamp' in reason and 'two publishers' in reason


def test_joint_twice_in_a_message_is_refused_with_fields(tmp_path: Path) -> None:
    bag = two_arms(steps=())
    for k in range(50):
        values = [k / 1000.0, k / 1000.0, 1.0 + k / 1000.0, 1.0 + k / 1000.0]
        bag.joints('/joint_states', 20 * MS * k + MS, ['a', 'b', 'a', 'b'], values)
        if k % 5 == 0:
            bag.image(20 * MS * k + 9 * MS, k)
    assert 'has joint a, b twice' in refusal(tmp_path, bag, ONE)
    remedy = (
        f'{CAMERAS}joints:\n - {{topic: /joint_states, field: "position[0:2]", names: [l1, l2]}}\n'
        ' - {topic: /joint_states, field: "position[2:4]", names: [r1, r2]}\n'
    )
    (tmp_path / 'map.yaml').write_text(remedy)
    out = tmp_path / 'by_place'
    import_all([tmp_path / 'bag'], load_map(tmp_path / 'map.yaml'), SUCCESS, out)
    joints = episodes_of(open_recording(out / 'episode_000000'))[0].joints
    assert joints.names == ('l1', 'l2', 'r1', 'r2')
    np.testing.assert_allclose(joints.positions[:, 2] - joints.positions[:, 0], 1.0, atol=1e-6)


def test_positions_without_names_are_named_by_place(tmp_path: Path) -> None:
    bag = two_arms(names=((), ()))
    reason = refusal(tmp_path, bag, ONE)
    assert 'has 2 positions without joint names' in reason and 'field: position[0:2]' in reason


def test_fewer_positions_than_names_are_refused_with_both(tmp_path: Path) -> None:
    bag = two_arms(steps=())
    for k in range(50):
        bag.joints('/joint_states', 20 * MS * k + MS, ('a', 'b', 'c'), [0.1, 0.2])
    bag.image(9 * MS, 1)
    reason = refusal(tmp_path, bag, ONE)
    assert 'no message that can be used (2 positions for 3 names)' in reason


def test_episode_id_without_an_image_is_noted(tmp_path: Path) -> None:
    bag = two_arms()
    bag.text('/episode', 'a', 0)
    bag.text('/episode', 'late', 1995 * MS)
    path = bag.write(tmp_path / 'bag')
    (tmp_path / 'map.yaml').write_text(ONE)
    (raw,) = raw_episodes(open_unmapped(path), load_map(tmp_path / 'map.yaml'))
    assert raw.name == 'bag:a'
    assert raw.notes == ('id late on topic episode has no image: left out',)


def test_messages_without_positions_are_left_out(tmp_path: Path) -> None:
    bag = two_arms()
    for k in range(0, 100, 3):
        bag.joints('/joint_states', 20 * MS * k + 5 * MS, (*LEFT, *RIGHT), [])
        bag.joints('/joint_states', 20 * MS * k + 6 * MS, ['mimic'], [k])
    names = ', '.join((*LEFT, *RIGHT))
    episode = in_place(tmp_path, bag, ONE.replace('}]', f', names: [{names}]}}]'))
    check_two_arms(episode)
    notes = open_recording(tmp_path / 'bag').notes
    assert any('34 messages' in note and '0 positions for 4 names' in note for note in notes)


def test_topic_without_header_alone_uses_the_receive_time(tmp_path: Path) -> None:
    bag = two_arms('/left/joints', '/none')
    for k in range(0, 100):
        bag.numbers('/hand', [k / 1000.0], 20 * MS * k + 3 * MS)
    rows = f'{CAMERAS}joints:\n - {{topic: /left/joints}}\n'
    hand = ' - {topic: /hand, field: data, names: [hand]'
    assert 'set "stamp: received" for this topic' in refusal(tmp_path, bag, f'{rows}{hand}}}\n')
    (tmp_path / 'map.yaml').write_text(f'{rows}{hand}, stamp: received}}\n')
    import_all([tmp_path / 'bag'], load_map(tmp_path / 'map.yaml'), SUCCESS, tmp_path / 'both')
    joints = episodes_of(open_recording(tmp_path / 'both/episode_000000'))[0].joints
    np.testing.assert_allclose(joints.positions[:, 0], joints.positions[:, 2], atol=1e-6)


def test_messages_before_the_clock_are_left_out_by_count(tmp_path: Path, capsys: Any) -> None:
    bag = BagOfMessages()
    for k in range(100):
        known = k >= 10
        bag.joints('/joint_states', (20 * MS * k + MS) * known, LEFT, [0.1] * 2, 20 * MS * k + MS)
        if k % 5 == 0:
            bag.image((20 * MS * k + 9 * MS) * known, k, 20 * MS * k + 9 * MS)
    path = bag.write(tmp_path / 'bag')
    (tmp_path / 'map.yaml').write_text(ONE)
    command = ['import', str(path), '--map', str(tmp_path / 'map.yaml'), '--success']
    assert main([*command, '--out', str(tmp_path / 'set')]) == 0
    shown = capsys.readouterr().out
    assert 'note: bag: 10 messages of /joint_states have no stamp: left out' in shown
    assert 'note: bag: 2 messages of /top/image/compressed have no stamp: left out' in shown
    images = episodes_of(open_recording(tmp_path / 'set/episode_000000'))[0].cameras['top'].images
    assert number_of(images[0]) == 10


def test_step_back_of_more_than_a_period_is_refused(tmp_path: Path) -> None:
    bag = BagOfMessages()
    for k in range(100):
        back = 130 * MS if k >= 50 else 0
        bag.joints('/joint_states', 20 * MS * k + MS - back + 5, LEFT, [0.1] * 2, 20 * MS * k)
        if k % 5 == 0:
            bag.image(20 * MS * k + 9 * MS, k)
    reason = refusal(tmp_path, bag, ONE)
    assert 'stamps of joints of left_a go back by 0.110 s, at most one period (0.020 s)' in reason
    (tmp_path / 'viva_map.yaml').write_text(ONE)
    (fault,) = episodes_of(open_recording(tmp_path / 'bag'))[0].faults
    assert 'go back by 0.110 s' in fault
    (tmp_path / 'map.yaml').write_text(ONE.replace('states}', 'states, stamp: received}'))
    out = tmp_path / 'received'
    import_all([tmp_path / 'bag'], load_map(tmp_path / 'map.yaml'), SUCCESS, out)
    assert len(episodes_of(open_recording(out / 'episode_000000'))[0].joints.stamps) > 15


def test_robot_with_the_clock_of_a_device_is_noted(tmp_path: Path) -> None:
    day, bag = 10**9 * 86_400, BagOfMessages()
    for k in range(100):
        received = 2 * day + 20 * MS * k + 10 * MS
        bag.joints('/joint_states', 20 * MS * k + MS, LEFT, [k / 1000.0] * 2, received)
        if k % 5 == 0:
            bag.image(20 * MS * k + 9 * MS, k, received)
    (tmp_path / 'map.yaml').write_text(ONE)
    recording = open_unmapped(bag.write(tmp_path / 'bag'))
    (raw,) = raw_episodes(recording, load_map(tmp_path / 'map.yaml'))
    (note,) = raw.notes
    assert note.startswith('stamps of /top/image/compressed are 172800 s before their receive')
    (tmp_path / 'map.yaml').write_text(f'{ONE}stamp: received\n')
    (raw,) = raw_episodes(recording, load_map(tmp_path / 'map.yaml'))
    assert raw.notes == ()


def test_camera_with_the_clock_of_a_device_is_refused_by_name(tmp_path: Path) -> None:
    day, bag = 10**9 * 86_400, BagOfMessages()
    for k in range(100):
        bag.joints('/joint_states', 2 * day + 20 * MS * k + MS, LEFT, [k / 1000.0] * 2)
        if k % 5 == 0:  # counts from its start
            bag.image(20 * MS * k + 9 * MS, k, 2 * day + 20 * MS * k + 9 * MS)
    reason = refusal(tmp_path, bag, ONE)
    assert reason == (
        'joints of left_a begins 172798 s after the end of top: their stamps are of different '
        'clocks; set "stamp: received" for the one of a device in the map'
    )
    text = ONE.replace('top: /top/image/compressed', f'top: {{topic: {CAMERA}, stamp: received}}')
    (tmp_path / 'map.yaml').write_text(text)
    import_all([tmp_path / 'bag'], load_map(tmp_path / 'map.yaml'), SUCCESS, tmp_path / 'set')
    episode = episodes_of(open_recording(tmp_path / 'set/episode_000000'))[0]
    assert number_of(episode.cameras['top'].images[3]) == 15


def test_neighbouring_messages_in_the_wrong_order_are_sorted(tmp_path: Path) -> None:
    bag = BagOfMessages()
    for k in range(100):
        at = k ^ 1 if 40 <= k < 44 else k  # 41, 40, 43, 42
        bag.joints('/joint_states', 20 * MS * at + MS, LEFT, [at / 100.0] * 2, 20 * MS * k)
        if k % 5 == 0:
            bag.image(20 * MS * k + 9 * MS, k)
    joints = in_place(tmp_path, bag, ONE).joints
    assert joints.positions[:, 0].tolist() == [k / 100.0 for k in range(100)]


def test_arm_that_dies_is_refused_and_a_fault_in_place(tmp_path: Path) -> None:
    bag = two_arms('/left/joints', '/right/joints', steps=range(100))
    longer = two_arms('/left/joints', '/none', steps=range(100, 150))
    bag._messages += [message for message in longer._messages if message[2] != '/none']
    text = f'{CAMERAS}joints:\n - {{topic: /left/joints}}\n - {{topic: /right/joints}}\n'
    assert 'joints of right_a is silent for' in refusal(tmp_path, bag, text)
    (tmp_path / 'viva_map.yaml').write_text(text)
    episode = episodes_of(open_recording(tmp_path / 'bag'))[0]
    assert any('joints of right_a is silent for' in fault for fault in episode.faults)


@pytest.mark.parametrize(('limit', 'reason'), [
    ('0.06', ''), ('{left_a: 0.06}', ''),
    ('{default: 0.04}', 'at most 0.04 per s is allowed (max_joint_speed)'),
    ('{left_a: 0.04}', 'at most 0.04 per s is allowed (max_joint_speed)'),
    ('{hand: 0.04}', 'max_joint_speed names hand, which is no joint, must be of left_a, left_b'),
])  # fmt: skip
def test_speed_limit_of_the_map_is_applied(tmp_path: Path, limit: str, reason: str) -> None:
    text = f'{ONE}limits: {{max_joint_speed: {limit}}}\n'  # the arms move at 0.05 rad/s
    if reason:
        assert reason in refusal(tmp_path, two_arms(), text)
    else:
        check_two_arms(imported(tmp_path, two_arms(), text))


def test_equal_names_in_place_are_refused_as_on_import(tmp_path: Path) -> None:
    bag = two_arms('/left/joints', '/right/joints', names=(('a', 'b'), ('a', 'b')))
    both = f'{CAMERAS}joints:\n - {{topic: /left/joints}}\n - {{topic: /right/joints}}\n'
    with raises('joint-in-two-sources', 'has joint a, b twice', 'set "prefix"'):
        in_place(tmp_path, bag, both)


def test_zeros_with_the_stamps_of_the_robot_are_refused(tmp_path: Path) -> None:
    bag = two_arms(steps=())
    for k in range(100):
        bag.joints('/joint_states', 20 * MS * k + MS, LEFT, [0.0, 0.0], 20 * MS * k)
        bag.joints('/joint_states', 20 * MS * k + MS, LEFT[::-1], [0.9, 0.3], 20 * MS * k + 5)
        if k % 5 == 0:
            bag.image(20 * MS * k + 9 * MS, k)
    assert 'left_a is 0.000 and 0.300 at stamp' in refusal(tmp_path, bag, ONE)
    with raises('joint-conflict', 'two publishers share the topic'):
        in_place(tmp_path / 'x', bag, ONE)


def test_clock_of_a_partial_publisher_is_not_sorted_away(tmp_path: Path) -> None:
    bag = two_arms(steps=())
    for k in range(100):
        bag.joints('/joint_states', 20 * MS * k + MS, LEFT, [k / 1000.0] * 2, 20 * MS * k)
        ahead = 20 * MS * k + 401 * MS
        bag.joints('/joint_states', ahead, LEFT[:1], [k / 1000.0], 20 * MS * k + 5)
        if k % 5 == 0:
            bag.image(20 * MS * k + 9 * MS, k)
    assert 'stamps of joints of left_a go back by 0.380 s' in refusal(tmp_path, bag, ONE)


def test_order_of_the_first_messages_does_not_matter(tmp_path: Path) -> None:
    first = two_arms(steps=range(40)).write(tmp_path / 'bags/a')
    other = two_arms(steps=())
    for k in range(40):
        other.joints('/joint_states', 20 * MS * k + MS, RIGHT, [1.0 + k / 1000.0] * 2)
        other.joints('/joint_states', 20 * MS * k + 8 * MS, LEFT, [k / 1000.0] * 2)
        if k % 5 == 0:
            other.image(20 * MS * k + 9 * MS, k)
    second = other.write(tmp_path / 'bags/b')
    (tmp_path / 'map.yaml').write_text(ONE)
    report = import_all(
        [first, second], load_map(tmp_path / 'map.yaml'), SUCCESS, tmp_path / 'set'
    )
    assert not any(row['refused'] for row in report['episodes'])
    for number in range(2):
        joints = episodes_of(open_recording(tmp_path / f'set/episode_00000{number}'))[0].joints
        assert joints.names == (*LEFT, *RIGHT)
        assert joints.positions[:, 0].max() < 0.5 < joints.positions[:, 2].min()


def test_message_too_short_for_a_field_is_left_out(tmp_path: Path) -> None:
    bag = two_arms('/left/joints', '/none')
    for k in range(100):
        bag.numbers('/hand', [k / 1000.0] if k % 10 else [], 20 * MS * k + 3 * MS)
    text = f'{CAMERAS}joints:\n - {{topic: /left/joints}}\n'
    hand = ' - {topic: /hand, field: "data[0]", names: [hand], stamp: received}\n'
    episode = imported(tmp_path, bag, text + hand)
    assert episode.joints.names == (*LEFT, 'hand')


def test_topic_in_two_spellings_is_one_topic(tmp_path: Path) -> None:
    bag = two_arms()
    joints = 'joints: [{topic: /joint_states, prefix: a_}, {topic: joint_states, prefix: b_}]\n'
    with raises('joint-source-twice', 'is read twice in the map'):
        in_place(tmp_path / 'y', bag, CAMERAS + joints)
    cameras = 'rate: 10\ncameras: {a: /top/image/compressed, b: top/image/compressed}\n'
    with raises('camera-source-twice', 'cameras a and b', 'name another topic'):
        in_place(tmp_path / 'x', bag, cameras)


def two_episodes() -> BagOfMessages:
    bag = two_arms()
    for name, at in (('A', 0), ('B', 1000)):
        bag.text('/episode', name, at * MS + 1)
        bag.text('/outcome', 'failure' if name == 'A' else 'success', at * MS + 900 * MS)
    return bag


def test_episodes_of_one_bag_are_apart_with_a_map(tmp_path: Path) -> None:
    path = two_episodes().write(tmp_path / 'bag')
    file = tmp_path / 'viva_map.yaml'
    file.write_text(ONE + 'limits: {max_joint_speed: 6.0}\n')
    first, second = episodes_of(open_recording(path))
    assert (first.name, second.name) == ('bag:A', 'bag:B')
    report = import_all([path], load_map(file), SUCCESS, tmp_path / 'set')
    assert [row['name'] for row in report['episodes']] == ['bag:A', 'bag:B']
    for number, episode in enumerate((first, second)):
        shown = [number_of(image) for image in episode.cameras['top'].images]
        assert shown == list(range(50 * number, 50 * number + 50, 5))
        assert episode.faults == ()
        (taken,) = episodes_of(open_recording(tmp_path / f'set/episode_{number:06d}'))
        assert number_of(taken.cameras['top'].images[0]) in shown[:2]
        assert episode.identity in taken.origins


def test_fault_of_one_episode_leaves_the_other(tmp_path: Path) -> None:
    bag = two_episodes()
    bag.joints('/joint_states', 1503 * MS, LEFT, [3.0, 3.0])
    path = bag.write(tmp_path / 'bag')
    (tmp_path / 'viva_map.yaml').write_text(ONE)
    first, second = episodes_of(open_recording(path))
    assert first.faults == () and 'jumped from' in second.faults[0]
    report = import_all([path], load_map(tmp_path / 'viva_map.yaml'), SUCCESS, tmp_path / 'set')
    assert [tuple(row['refused']) for row in report['episodes']] == [(), second.faults]


def test_outcomes_on_a_topic_belong_to_their_episodes(tmp_path: Path) -> None:
    text = f'{ONE}label: {{topic: /outcome}}\n'
    path = two_episodes().write(tmp_path / 'bag')
    (tmp_path / 'viva_map.yaml').write_text(text)
    with raises('episodes-several', '2 episodes on topic episode (A, B)', '"viva import"'):
        open_recording(path)
    import_all([path], load_map(tmp_path / 'viva_map.yaml'), Outcomes(rule=LabelRule('/outcome')),
               tmp_path / 'set')  # fmt: skip
    labels = [
        episodes_of(open_recording(tmp_path / f'set/episode_{number:06d}'))[0].label
        for number in range(2)
    ]
    assert [one.success for one in labels if one] == [False, True]
    (tmp_path / 'viva_map.yaml').write_text(ONE)  # the other remedy
    save(sidecar(path), {'bag:A': Annotation(False), 'bag:B': Annotation(True)})
    labels = [one.label for one in episodes_of(open_recording(path))]
    assert [(one.task, one.success) for one in labels if one] == [('fold', False), ('fold', True)]


def test_foreign_topics_with_our_names_are_not_ours(tmp_path: Path) -> None:
    bag = two_arms()
    for topic in ('/value', '/alert', '/ground_truth', '/robot/episode'):
        bag.numbers(topic, [3.0], 900 * MS)
    (tmp_path / 'map.yaml').write_text(ONE)
    episode = imported(tmp_path, bag, ONE)
    check_two_arms(episode)


def test_import_uses_the_map_next_to_the_recordings(tmp_path: Path, capsys: Any) -> None:
    path = two_arms().write(tmp_path / 'bags/one')
    file = tmp_path / 'bags/viva_map.yaml'
    file.write_text(ONE.replace('rate: 10', 'rate: 5'))
    assert main(['import', str(path), '--success', '--out', str(tmp_path / 'set')]) == 0
    assert f'map: {file}; --map FILE replaces it' in capsys.readouterr().out
    assert (tmp_path / 'set/viva/map.yaml').read_text() == file.read_text()
    other = tmp_path / 'other.yaml'
    other.write_text(ONE)
    arguments = ['import', str(path), '--success', '--map', str(other)]
    assert main([*arguments, '--out', str(tmp_path / 'ten')]) == 0
    assert 'map: ' not in capsys.readouterr().out
    assert (tmp_path / 'ten/viva/map.yaml').read_text() == ONE


def test_import_of_recordings_with_different_maps_is_refused(tmp_path: Path, capsys: Any) -> None:
    for name, rate in (('a', 5), ('b', 10)):
        two_arms().write(tmp_path / name / 'bag')
        (tmp_path / name / 'viva_map.yaml').write_text(ONE.replace('rate: 10', f'rate: {rate}'))
    arguments = ['import', str(tmp_path), '--success', '--out', str(tmp_path / 'set')]
    assert main(arguments) == 2
    assert 'name one for all with --map, or import them apart' in capsys.readouterr().err
    assert main([*arguments, '--map', str(tmp_path / 'a/viva_map.yaml')]) == 0
    apart = ['import', str(tmp_path / 'b'), '--success', '--out', str(tmp_path / 'apart')]
    assert main(apart) == 0


def test_same_numbers_for_two_arms_are_refused(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'data', names=None)
    whole = [f'{{feature: observation.state, names: [{n}1, {n}2, {n}3, {n}4]}}' for n in 'lr']
    (tmp_path / 'map.yaml').write_text(f'joints: [{", ".join(whole)}]\n')
    recording = open_unmapped(root / 'episode_000000')
    with raises('joint-field-twice', 'data and data', 'such as data[0:7]'):
        raw_episodes(recording, load_map(tmp_path / 'map.yaml'))


@pytest.mark.parametrize(
    ('ahead', 'text'), [(300, '0.3 s after their receive'), (-400, '0.4 s before their receive')]
)
def test_stamps_of_another_clock_are_noted(tmp_path: Path, ahead: int, text: str) -> None:
    bag = BagOfMessages()
    for k in range(20):
        bag.joints('/joint_states', k * 50 * MS, LEFT, [0.01 * k] * 2)
        bag.image((k * 50 + ahead) * MS, k, received=k * 50 * MS)
    (tmp_path / 'map.yaml').write_text(ONE)
    path = bag.write(tmp_path / 'bag')
    (one,) = raw_episodes(open_unmapped(path), load_map(tmp_path / 'map.yaml'))
    assert any(text in note for note in one.notes)


def test_stamps_of_images_that_begin_late_are_not_ahead(tmp_path: Path) -> None:
    bag = BagOfMessages()
    for k in range(20):
        bag.joints('/joint_states', k * 50 * MS, LEFT, [0.01 * k] * 2)
        bag.image(k * 50 * MS if k > 5 else 0, k, received=k * 50 * MS)
    (tmp_path / 'map.yaml').write_text(ONE)
    path = bag.write(tmp_path / 'bag')
    (one,) = raw_episodes(open_unmapped(path), load_map(tmp_path / 'map.yaml'))
    assert not any('receive times' in note for note in one.notes)
