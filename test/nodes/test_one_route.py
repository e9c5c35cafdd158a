# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One stream of messages through import, in place, replay and the live monitor.

The stream is published once over DDS, with a part for each fault. Each part is then a bag. At each
moment the routes must agree: known or unknown, the kind and the words of the reason, the stamps of
the inputs, joints and value.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from support.fake_monitor import BrightnessEngine
from support.ros import Processes, enter_domain, listening, wait
from support.scripted_robot import (
    ARM,
    CAMERAS,
    GRIPPERS,
    HEAD,
    JOINTS,
    LEFT,
    MS,
    RIGHT,
    ROBOT,
    SLOT,
    WRIST,
    EndlessRobot,
    Fault,
    Player,
    Sent,
    beside,
    change,
    jpeg_message,
    late,
    raw_message,
    without,
    write_stream,
)
from support.wire import wire_bytes

from viva_ros.core.observation import Observation, Unknown
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.convert import ImportEmptyError, import_all
from viva_ros.data.conversion.raw_episode import raw_episodes
from viva_ros.data.conversion.resample import grid
from viva_ros.data.joint_groups import joints_at
from viva_ros.data.open import open_recording, open_unmapped
from viva_ros.data.segmentation import episodes_of
from viva_ros.msg import Value
from viva_ros.nodes import qos
from viva_ros.robot.topic_map import load_map
from viva_ros.scoring.replay import replay

pytestmark = [pytest.mark.live, pytest.mark.alone]

FILE = ROBOT.replace(', max_joint_speed: 6.0', '')  # the limit that a monitor has without it
LEAD, TAIL = 6, 7  # slots before and after a fault
PHASES = ('before', 'fault', 'after')
TRIES = 3  # of a stream in which the machine was late
NAMES = {  # of inputs in the reasons of the live monitor
    '/left/joint_states + /right/joint_states + /grippers': 'joint_states', HEAD: 'head',
    WRIST: 'wrist', LEFT: 'joint_states', RIGHT: 'joint_states', GRIPPERS: 'joint_states',
}  # fmt: skip


def shifted(slot: int, one: Sent) -> Sent:
    """Move the waist of an arm by 1 rad."""
    return replace(one, make=lambda stamp: _changed(one.make(stamp), 0, 1.0))


def _changed(message: Any, joint: int, by: float) -> Any:
    message.position[joint] += by
    return message


def broken(slot: int, one: Sent) -> Sent:
    """Make the elbow of an arm not finite."""
    return replace(one, make=lambda stamp: _changed(one.make(stamp), 1, np.nan))


def torn(slot: int, one: Sent) -> Sent:
    return replace(one, make=partial(jpeg_message, slot, share=0.5))


def frozen(slot: int, one: Sent) -> Sent:
    return replace(one, make=partial(raw_message, 40))


def unstamped(slot: int, one: Sent) -> Sent:
    return replace(one, stamp=None)


def nothing(slot: int, sent: list[Sent]) -> list[Sent]:
    return sent


@dataclass(frozen=True)
class Case:
    """
    A fault of the stream.

    :param slots: for which it lasts
    :param judged: slots since its begin in which its effect does not depend on jitter
    :param kinds: of unknown values in these slots
    :param words: in the reasons of live and in place
    :param codes: of the refusal of an import; empty if it imports the part
    """

    fault: Fault
    slots: int
    judged: tuple[int, int]
    kinds: set[str]
    words: str
    codes: tuple[str, ...]
    in_place: bool = True  # whether the episode in place has the reason: it reads no images


CASES = {
    'none': Case(nothing, 3, (0, 3), set(), '', ()),
    'joints_silent': Case(
        without(GRIPPERS), 9, (5, 9), {'stale'}, 'with left_gripper is',
        ('stream-silent', 'frame-skew'),
    ),
    'camera_frozen': Case(
        change(HEAD, frozen), 14, (12, 14), {'input'}, 'frozen: same picture', ('image-frozen',),
        False,
    ),
    'image_unstamped': Case(
        change(HEAD, unstamped), 1, (0, 1), set(), '', ()
    ),
    'stamps_back': Case(
        change(HEAD, late(600 * MS)), 9, (5, 9), {'stale'}, 'newest message of head is',
        ('stream-silent', 'stream-stamps-back', 'frame-skew'),
    ),
    'joint_fast': Case(
        change(LEFT, shifted), 6, (1, 3), {'input'}, 'left_waist jumped from', ('joint-speed',)
    ),
    'joint_not_finite': Case(
        change(LEFT, broken), 3, (0, 3), {'input'}, 'left_elbow', ('joint-not-finite',)
    ),
    'image_torn': Case(
        change(WRIST, torn), 3, (0, 3), {'input'}, 'it is truncated', ('image-undecodable',),
        False,
    ),
    'two_publishers': Case(
        beside(LEFT, ARM, [1.5, 1.5]), 6, (1, 6), {'input'}, 'jumped from', ('joint-speed',)
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """
    What the routes made of one part of the stream.

    :param first: slot of its begin
    :param values: of the live monitor, with their time of receipt, ns
    """

    case: Case
    folder: Path
    first: int
    begin: int
    sent: list[Sent]
    values: list[tuple[int, Any]]

    @cached_property
    def bag(self) -> Path:
        return self._write('bag', [])

    @cached_property
    def bag_with_values(self) -> Path:
        """The messages and the values of the live monitor, as the black box records them."""
        values = [
            (at, '/value', 'viva_ros/msg/Value', wire_bytes(one, 'viva_ros/msg/Value'))
            for at, one in self.values
        ]  # fmt: skip
        return self._write('recorded', values)

    def _write(self, name: str, others: list[tuple[int, str, str, bytes]]) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True)
        (folder / 'viva_map.yaml').write_text(FILE)
        return write_stream(folder / 'part', self.sent, self.begin, others)

    def slots(self, name: str) -> range:
        """Return the slots that are judged: 'before', 'fault' or 'after'."""
        begin = self.first + LEAD
        end = begin + self.case.slots
        low, high = self.case.judged
        judged = {
            'before': range(self.first + 2, begin - 1), 'fault': range(begin + low, begin + high),
            'after': range(end + TAIL - 2, end + TAIL),
        }  # fmt: skip
        return judged[name]

    def slot_of(self, stamp: int) -> int:
        return (stamp - self.begin) // SLOT

    def slot_of_all(self, stamps: Mapping[str, int]) -> int:
        """
        Return the slot of all inputs; -1 for those of several slots.

        A message may overtake others: a set has the newest joints and the images before then.
        """
        slots = set(map(self.slot_of, stamps.values()))
        return slots.pop() if len(slots) == 1 else -1

    @cached_property
    def in_place(self) -> list[tuple[int, Observation | Unknown]]:
        """Slot and input of each value that a monitor would publish."""
        inputs = replay(open_recording(self.bag), CAMERAS, JOINTS, 10.0, (64, 64))
        return [
            (self.slot_of_all(
                one.observation.stamps if isinstance(one.observation, Observation)
                else {'': one.stamp}
            ), one.observation) for one in inputs
        ]  # fmt: skip

    def recorded(self, phase: str) -> tuple[set[int], set[tuple[str, str]]]:
        """Return the slots with a known value in place, and the reasons of unknown ones."""
        found = [(slot, one) for slot, one in self.in_place if slot in self.slots(phase)]
        reasons = {(one.kind, wording(one.reason)) for _, one in found if isinstance(one, Unknown)}
        return {slot for slot, one in found if isinstance(one, Observation)}, reasons

    @cached_property
    def is_late(self) -> bool:
        """Whether the machine was too slow, so that messages or values came late or not at all."""
        found = [self.live(phase) for phase in PHASES]
        kinds = {kind for _, reasons in found for kind, _ in reasons}
        return 'stale' in kinds - self.case.kinds or not all(map(any, found))

    @cached_property
    def differs(self) -> bool:
        """Whether live and in place disagree, as when messages overtake each other."""
        found = [(self.live(phase), self.recorded(phase)) for phase in PHASES]
        return any(reported != reasons or not published <= known
                   for (published, reported), (known, reasons) in found)  # fmt: skip

    def live(self, phase: str) -> tuple[set[int], set[tuple[str, str]]]:
        """Return the slots with a known value of the monitor, and the reasons of unknown ones."""
        known, reasons = set(), set()
        for _, one in self.values:
            is_known = one.status == Value.STATUS_OK
            slot = self.slot_of_all(stamps_of(one) if is_known else {'': ns(one.header.stamp)})
            if slot not in self.slots(phase):
                continue
            if is_known:
                known.add(slot)
            else:
                reasons.add((one.reason_kind, wording(one.reason)))
        return known, reasons


def ns(stamp: Any) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def stamps_of(value: Any) -> dict[str, int]:
    return {n: ns(at) for n, at in zip(value.input_names, value.input_stamps, strict=True)}


def wording(reason: str) -> str:
    """Return a reason without its numbers, with the names of inputs in recordings."""
    for topic, name in NAMES.items():
        reason = reason.replace(topic, name)
    return re.sub(r'-?\d+(\.\d+)?', '#', reason)


@pytest.fixture(scope='module')
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Part]]:
    """Publish all faults to one monitor, up to TRIES times until a busy machine is in time."""
    for _ in range(TRIES):
        found = publish(tmp_path_factory.mktemp('one_route'))
        if not any(part.is_late or part.differs for part in found.values()):
            break
    yield found


def publish(folder: Path) -> dict[str, Part]:
    """Publish all faults, one after the other, to one monitor; return the parts."""
    file = folder / 'robot.yaml'
    file.write_text(FILE)
    with pytest.MonkeyPatch.context() as patch:
        processes = Processes(folder)
        with enter_domain(patch, folder / 'ros'), listening() as listener:
            other = rclpy.create_node('second_driver', context=listener.context)
            robot = EndlessRobot(Player({'driver': listener, 'other': other}, qos.JOINTS))
            values: list[tuple[int, Any]] = []
            clock = listener.get_clock()
            listener.create_subscription(
                Value, 'value', lambda one: values.append((clock.now().nanoseconds, one)),
                qos.RELIABLE,
            )  # fmt: skip
            try:
                processes.start(
                    'fake_monitor.py', '--ros-args', '-p', f'robot:={file}', '-p',
                    'isolate:=false', FAKE_INPUTS=f'{",".join(CAMERAS)}:{",".join(JOINTS)}',
                )  # fmt: skip
                known = lambda: sum(v.status == Value.STATUS_OK for _, v in values)  # noqa: E731
                wait(lambda: known() > 3, 'values')
                begins = script(robot)
                end = begins['']
                wait(lambda: len(robot.slots) > end, 'the end of the stream')
            finally:
                robot.close()
                other.destroy_node()
                processes.end()
    found = {}
    for (name, case), end in zip(CASES.items(), [*begins.values()][1:], strict=True):
        first = begins[name]
        span = range(robot.begin + first * SLOT, robot.begin + end * SLOT)
        sent = [one for slot in robot.slots[first:end] for one in slot]
        own = [(at, one) for at, one in values if ns(one.header.stamp) in span]
        found[name] = Part(case, folder / name, first, robot.begin, sent, own)
    return found


def script(robot: EndlessRobot) -> dict[str, int]:
    """Let a robot have all faults; return the slot in which each part begins, '': the end."""
    begins, at = {}, len(robot.slots) + 2
    faults: dict[int, Fault] = {}
    for name, case in CASES.items():
        begins[name] = at
        faults |= dict.fromkeys(range(at + LEAD, at + LEAD + case.slots), case.fault)
        at += LEAD + case.slots + TAIL
    begins[''] = at
    robot.fault = lambda slot, sent: faults.get(slot, nothing)(slot, sent)
    return begins


@pytest.fixture(params=CASES)
def part(request: pytest.FixtureRequest, parts: Mapping[str, Part]) -> Part:
    return parts[request.param]


@pytest.mark.parametrize('phase', PHASES)
def test_live_and_in_place_agree_at_each_moment(part: Part, phase: str) -> None:
    known, reasons = part.recorded(phase)
    published, reported = part.live(phase)
    assert {one for one in reported if one[0] != 'stale'} <= reasons
    if not part.is_late:
        assert reported == reasons
        assert published <= known
        assert bool(published) == bool(known)
    assert {kind for kind, _ in reasons} == (part.case.kinds if phase == 'fault' else set())
    assert all(part.case.words in text for _, text in reasons)


def test_machine_was_in_time_for_a_part(parts: Mapping[str, Part]) -> None:
    assert not all(part.is_late for part in parts.values())


def test_replay_of_recorded_values_is_what_was_published(part: Part) -> None:
    recording = open_recording(part.bag_with_values)
    engine, compared = BrightnessEngine(), 0
    inputs = list(replay(recording, CAMERAS, JOINTS, 10.0, (64, 64)))
    assert len(inputs) == len(part.values)
    begin = part.begin + part.first * SLOT
    for entry, (_, value) in zip(inputs, part.values, strict=True):
        assert entry.stamp == ns(value.header.stamp)
        if isinstance(entry.observation, Observation):
            assert entry.observation.stamps == stamps_of(value)
            positions = dict(zip(value.joint_names, value.positions, strict=True))
            assert positions == entry.observation.proprio
            assert abs(value.value - engine.estimate(entry.observation).value) <= 1e-6
            compared += 1
        elif value.status == Value.STATUS_OK:  # of inputs before the part
            assert entry.observation.kind == 'missing'
            assert min(stamps_of(value).values()) < begin
        else:
            expected = Unknown(value.reason_kind, value.reason)
            assert entry.observation == expected
    assert part.is_late or compared >= LEAD - 2


def test_import_refuses_what_is_unknown_in_place(part: Part, tmp_path: Path) -> None:
    codes, refused, notes = imported(part, tmp_path / 'out')
    assert codes == part.case.codes
    (episode,) = episodes_of(open_recording(part.bag))
    reasons = [text for _, text in episode.reasons]
    assert reasons == (refused if part.case.in_place else [])
    assert bool(codes) == bool(part.case.kinds)
    if part.case.fault is CASES['image_unstamped'].fault:
        assert notes == [f'1 messages of {HEAD} have no stamp: left out']
    _, unknown = part.recorded('fault')
    shared = {'image_torn': 'it is truncated', 'joint_not_finite': 'left_elbow',
              'joint_fast': 'left_waist jumped from', 'camera_frozen': 'same picture'}  # fmt: skip
    for name, words in shared.items():
        if part.case is CASES[name]:
            assert words in refused[0] and all(words in text for _, text in unknown)


def imported(part: Part, out: Path) -> tuple[tuple[str, ...], list[str], list[str]]:
    """Import a part; return codes and texts of its refusal, and notes."""
    outcomes = Outcomes(success=True, task='tray_lift')
    try:
        (row,) = import_all(
            [part.bag], load_map(part.bag.parent / 'viva_map.yaml'), outcomes, out
        )['episodes']
    except ImportEmptyError as error:
        (row,) = error.rows
    return tuple(row['codes']), list(row['refused']), list(row['notes'])


@pytest.mark.parametrize('name', ['none', 'image_unstamped'])
def test_import_takes_what_the_monitor_used(parts: Mapping[str, Part], name: str) -> None:
    part = parts[name]
    (raw,) = raw_episodes(open_unmapped(part.bag), load_map(part.bag.parent / 'viva_map.yaml'))
    moments = grid(raw, 10)
    rows = joints_at(raw.joints, moments)
    names = [one for group in raw.joints for one in group.names]
    by_name = [dict(zip(names, row, strict=True)) for row in rows]
    taken = dict(zip(moments.tolist(), by_name, strict=True))
    known = [one for _, one in part.in_place if isinstance(one, Observation)]
    assert len(known) == LEAD + part.case.slots + TAIL
    stamps = raw.cameras['head'].stamps.tolist()
    for observation in known:
        assert taken[observation.stamp] == observation.proprio
        row = stamps.index(observation.stamps['head'])
        assert np.array_equal(raw.cameras['head'].images[row], observation.images['head'])
