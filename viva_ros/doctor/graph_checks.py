# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check a robot file against a running robot, by the functions of the monitor."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

from viva_ros.core.errors import ConfigurationError, InputError
from viva_ros.core.image_checks import check_picture
from viva_ros.core.inputs import JOINTS, InputBuffer
from viva_ros.core.joint_buffer import JointBuffer
from viva_ros.core.observation import SECOND, Unknown
from viva_ros.core.synchronization import RejectedError, check_stamp
from viva_ros.core.windows import seconds
from viva_ros.data.stamps import ordered, period_of, step_back_text
from viva_ros.doctor.checks import describe, spin
from viva_ros.doctor.findings import ERROR, OK, WARN, Finding, engine_joints, like_text
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.video_decoding import DecodedPicture, VideoDecoder, packet_of
from viva_ros.nodes import qos
from viva_ros.nodes.convert import decode, stamp_of
from viva_ros.nodes.image_bridge import find_bridge
from viva_ros.nodes.inputs import FrameCounter, frame_loss_text
from viva_ros.nodes.malformed_messages import GuardedExecutor
from viva_ros.nodes.robot_topics import (
    IMAGE_TYPES,
    JOINT_STATE,
    VIDEO_TYPES,
    JointOrigins,
    JointTopic,
    RobotTopics,
    check_cameras,
    image_type,
    joint_topics_text,
    joint_type,
    message_class,
    published_types,
    publishers_text,
    robot_topics,
)
from viva_ros.nodes.settings import MonitorSettings
from viva_ros.nodes.topics import is_published
from viva_ros.nodes.video_inputs import check_camera, video_qos
from viva_ros.robot.topic_map import RECEIVED, CameraSource, load_map

DISCOVERY: Final = 8.0  # s, at most: participants announce themselves every 3 s
SETTLING: Final = 1.0  # s, for /clock and further publishers of a topic
TICK: Final = 0.1  # s
CLOCK: Final = '/clock'
SLOW: Final = (
    'check the driver and the network; if the topic is meant to be that slow, raise max_gap under '
    '"limits" of the robot file'
)
Track = Callable[[Iterable[int]], Iterable[int]]


@dataclass
class _Input:
    """
    One input, and what was heard of it.

    :param topic: resolved
    :param joint: None for a camera
    :param times: of receipt, ns
    :param first: time of the first message that can be used, ns
    :param senders: joint to the ids of its publishers; '' stands for a camera
    :param faults: first text of each kind of message that cannot be used, and their number
    :param unreadable: why the newest video packet has no picture
    """

    name: str
    subject: str
    topic: str
    profile: QoSProfile
    joint: JointTopic | None = None
    times: list[int] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    joints: dict[str, None] = field(default_factory=dict)
    senders: dict[str, set[bytes]] = field(default_factory=dict)
    faults: dict[str, tuple[str, int]] = field(default_factory=dict)
    counter: FrameCounter = field(default_factory=FrameCounter)
    newest: Any = None
    first: int | None = None
    decoder: VideoDecoder | None = None
    unreadable: InputError | None = None

    def note(self, kind: str, text: str) -> None:
        """Count a message that cannot be used."""
        first, count = self.faults.get(kind, (text, 0))
        self.faults[kind] = first, count + 1


@dataclass(frozen=True)
class _Event:
    """One message in the order of receipt: joints, or the reason why they cannot be used."""

    time: int
    source: _Input
    stamp: int
    positions: Mapping[str, float] = field(default_factory=dict)
    refusal: str = ''


def check_robot(
    file: Path, namespace: str, duration: float, info: EngineInfo | None = None,
    track: Track = iter,
) -> list[Finding]:  # fmt: skip
    """
    Return what a monitor would receive, and why its values would be unknown.

    :param file: that describes the robot
    :param namespace: of the robot, such as '/cell'
    :param duration: for which its topics are heard, s
    :param info: of an engine whose cameras and joints must be there; None for none
    :param track: yields the steps of listening, and shows the progress
    """
    settings = MonitorSettings(robot=str(file))
    found = []
    try:
        described = load_map(file)
        if info is not None:
            found = _engine_cameras(file, info)
        own = tuple(described.cameras) or (info.cameras if info else ())
        robot = robot_topics(settings, EngineInfo(own, (), 0.0, (1, 1), (), '', ''))
    except ConfigurationError as error:
        return [Finding(ERROR, 'robot file', str(error))]
    found += [Finding(WARN, 'robot file', text) for text in robot.notes]
    if not own:
        text = f'{file} names no cameras'
        found.append(Finding(WARN, 'cameras', text, 'name them, or check with --engine DIR'))
    with _running(namespace) as (node, executor):
        _discover(node, executor, robot)
        found += _clock(node)
        ears = _Ears(node, robot)
        found += ears.absent
        for _ in track(range(steps_of(duration))):
            spin(executor, TICK)
        return found + ears.findings(settings, info)


def steps_of(duration: float) -> int:
    """Return the number of steps in which the topics are heard for a time, s."""
    return max(1, round(duration / TICK))


def _clock(node: Node) -> list[Finding]:
    """Take the time from /clock if it is published, as the monitor of such a robot must."""
    if not node.count_publishers(CLOCK):
        return []
    node.set_parameters([Parameter('use_sim_time', value=True)])
    text = f'{CLOCK} is published: stamps are compared with it'
    return [Finding(OK, 'clock', text, 'start the monitor with use_sim_time:=true')]


def _engine_cameras(file: Path, info: EngineInfo) -> list[Finding]:
    try:
        check_cameras(file, load_map(file), info.cameras)
    except ConfigurationError as error:
        return [Finding(ERROR, 'engine cameras', str(error))]
    return [Finding(OK, 'engine cameras', f'{", ".join(info.cameras)} are there')]


@contextmanager
def _running(namespace: str) -> Iterator[tuple[Node, GuardedExecutor]]:
    node = Node('viva_doctor', namespace=namespace)
    executor = GuardedExecutor()
    executor.add_node(node)
    try:
        yield node, executor
    finally:
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()


def _discover(node: Node, executor: GuardedExecutor, robot: RobotTopics) -> None:
    """Wait until each topic has a publisher, or until other participants are surely known."""
    topics = [one.topic for one in robot.cameras.values()]
    topics += [joint.source.topic for joint in robot.joints]
    end = time.monotonic() + DISCOVERY
    while time.monotonic() < end:
        if all(node.count_publishers(node.resolve_topic_name(one)) for one in topics):
            break
        spin(executor, TICK)
    spin(executor, SETTLING)


class _Ears:
    """Listens to the inputs of a robot file that have a publisher of the right type."""

    def __init__(self, node: Node, robot: RobotTopics) -> None:
        self._node, self._robot = node, robot
        self._inputs: list[_Input] = []
        self._events: list[_Event] = []
        self._origins = JointOrigins()
        self.absent: list[Finding] = []
        for camera, source in robot.cameras.items():
            topic = node.resolve_topic_name(source.topic)
            one = _Input(camera, f'camera {camera}', topic, qos.IMAGE)
            kinds = (robot.kinds[camera],) if robot.kinds[camera] else IMAGE_TYPES
            if image_type(node, source.topic, robot.kinds[camera]) in VIDEO_TYPES:
                one.decoder, one.profile = VideoDecoder(), video_qos(node, source.topic)
            find_kind = partial(self._camera_class, camera, source)
            self._subscribe(one, kinds, find_kind, source.stamp == RECEIVED)
        for joint in robot.joints:
            topic = node.resolve_topic_name(joint.source.topic)
            one = _Input(joint.name, f'joints {topic}', topic, qos.JOINTS, joint)
            kinds = () if joint.source.path else (JOINT_STATE,)
            self._subscribe(one, kinds, partial(joint_type, node, joint), joint.received)

    def _camera_class(self, camera: str, source: CameraSource) -> Any:
        """Return the message class of a camera, if this machine can decode it."""
        kind = image_type(self._node, source.topic, self._robot.kinds[camera])
        if kind in VIDEO_TYPES:
            check_camera(camera, source.options)
        return message_class(kind)

    def _subscribe(
        self, one: _Input, kinds: tuple[str, ...], find_kind: Callable[[], Any], received: bool
    ) -> None:  # fmt: skip
        """Subscribe, or note why the monitor could not."""
        node, topic = self._node, one.topic
        try:
            if not is_published(node, topic, kinds):
                text = f'{topic} has no publisher'
                there = [name for name, _ in node.get_topic_names_and_types()]
                remedy = like_text([topic], there) or 'start its driver, or correct the robot file'
                self.absent.append(Finding(ERROR, one.subject, text, remedy))
                return
            if len(types := published_types(node, topic)) > 1:
                text = f'{topic} has the types {", ".join(types)}: {publishers_text(node, topic)}'
                self.absent.append(Finding(ERROR, one.subject, text, 'end all but one'))
                return
            kind = find_kind()
        except ConfigurationError as error:
            self.absent.append(Finding(ERROR, one.subject, str(error)))
            return
        hear = partial(self._hear, one, received)
        node.create_subscription(kind, topic, hear, one.profile)
        self._inputs.append(one)

    def _hear(self, one: _Input, received: bool, message: Any, info: Mapping[str, Any]) -> None:
        now = int(self._node.get_clock().now().nanoseconds)
        stamp = now if received else stamp_of(message)
        sender = info.get('publisher_gid')
        one.counter.count(info)
        one.times.append(now)
        one.stamps.append(stamp)
        refusal = self._keep(one, message, stamp)
        if one.first is None and one.newest is not None:
            one.first = now
        try:
            check_stamp(one.topic, stamp, now, self._robot.sync)
        except RejectedError as error:
            one.note(f'{error.unknown.kind} {stamp > 0}', error.unknown.reason)
        positions, names = {}, ['']
        if one.joint is not None:
            try:
                positions = one.joint.positions(message, one.topic)
                self._origins.check(one.topic, positions)
            except InputError as error:
                refusal = str(error)
                one.note(error.code, refusal)
            names = list(positions)
            one.joints |= dict.fromkeys(names)
        if sender:
            for name in names:
                one.senders.setdefault(name, set()).add(bytes(sender['data']))
        self._events.append(_Event(now, one, stamp, positions, refusal))

    def _keep(self, one: _Input, message: Any, stamp: int) -> str:
        """Keep a message, or the picture of a video packet; return why there is none."""
        if one.decoder is None:
            one.newest = message
            return ''
        try:
            frame = one.decoder.decode(packet_of(message, stamp))
        except InputError as error:
            one.unreadable = error
            if one.newest is not None:  # else it waits for the first key frame
                one.note(error.code, f'{one.topic}: {error}')
            return str(error)
        if frame is not None:
            one.newest = DecodedPicture(frame)
        return ''

    def findings(self, settings: MonitorSettings, info: EngineInfo | None) -> list[Finding]:
        """Return what was heard, and what a monitor would make of it."""
        end = int(self._node.get_clock().now().nanoseconds)
        found = []
        for one in self._inputs:
            faults = list(self._faults(one, end))
            found += faults or [Finding(OK, one.subject, self._summary(one))]
        names = list(dict.fromkeys(name for one in self._inputs for name in one.joints))
        if info is not None:
            found.append(engine_joints(info, names))
        wanted = tuple(names) if info is None else info.joint_names
        is_complete = not self.absent and all(one.first is not None for one in self._inputs)
        return [*found, *(self._moments(settings, wanted, end) if is_complete else [])]

    def _faults(self, one: _Input, end: int) -> Iterator[Finding]:
        """Yield the faults of one input."""
        publishers = self._node.get_publishers_info_by_topic(one.topic)
        for publisher in publishers:
            fits, reason = qos_check_compatible(publisher.qos_profile, one.profile)
            if fits == QoSCompatibility.ERROR:
                text = f'QoS of {publisher.node_name} does not fit: {reason}'
                yield Finding(ERROR, one.subject, text, 'change the QoS of the publisher')
        yield from self._publisher_faults(one, len(publishers))
        if not one.times:
            text = f'no message of {one.topic}; {publishers_text(self._node, one.topic)}'
            yield Finding(
                ERROR, one.subject, text, 'check the driver, and the shared memory above'
            )
            return
        gap = max(seconds(b, a) for a, b in pairwise([*one.times, end]))
        if gap > self._robot.sync.max_age:
            limit = f'at most {self._robot.sync.max_age:g} s is allowed (max_gap)'
            text = f'{one.topic} is silent for {gap:.3f} s, {limit}'
            yield Finding(ERROR, one.subject, text, SLOW)
        for text, count in one.faults.values():
            yield Finding(ERROR, one.subject, f'{text} ({count} of {len(one.times)} messages)')
        order = ordered(one.stamps)
        back = step_back_text(one.topic, order.backwards, period_of(order.stamps))
        if back:
            yield Finding(ERROR, one.subject, back)
        yield from self._camera_faults(one) if one.joint is None else \
            self._joint_faults(one)  # fmt: skip

    def _publisher_faults(self, one: _Input, count: int) -> Iterator[Finding]:
        """Yield a finding on several publishers of a topic."""
        if count < 2:
            return
        who = publishers_text(self._node, one.topic)
        shared = [name for name, senders in one.senders.items() if len(senders) > 1]
        if one.joint is None:
            yield Finding(ERROR, one.subject, f'{who}: their frames mix', 'end all but one')
        elif shared:
            text = f'{who}: joint {", ".join(shared)} comes from several'
            yield Finding(ERROR, one.subject, text, 'end all but one, or remap one of them')
        elif not one.senders:
            yield Finding(WARN, one.subject, who, 'check that they have different joints')

    def _camera_faults(self, one: _Input) -> Iterator[Finding]:
        share = one.counter.collect(())
        if share.is_low:
            yield Finding(WARN, one.subject, frame_loss_text(one.topic, share))
        options = self._robot.options[one.name]
        if one.newest is None:
            why = f': {one.unreadable}' if one.unreadable is not None else ''
            yield Finding(ERROR, one.subject, f'{one.topic} has packets, but no picture{why}')
            return
        try:
            image = decode(one.newest, None, find_bridge().view, options)
        except InputError as error:
            yield Finding(ERROR, one.subject, f'{one.topic}: {error}')
            return
        if fault := check_picture(image, self._robot.pictures):
            yield Finding(ERROR, one.subject, f'{one.topic}: {fault}', 'check lens and exposure')

    def _joint_faults(self, one: _Input) -> Iterator[Finding]:
        assert one.joint is not None
        wanted = [name for name in one.joint.source.names.values() if name not in one.joints]
        if wanted or not one.joints:
            missing = ', '.join(wanted) or 'positions with names'
            recorded = [n for n, name in one.joint.source.names.items() if name in wanted]
            there = list(getattr(one.newest, 'name', ()))
            text = f'{one.topic} lacks joint {missing}, it has {", ".join(there) or "no names"}'
            remedy = like_text(recorded, there) or 'correct the names in the robot file'
            yield Finding(ERROR, one.subject, text, remedy)
        buffer = JointBuffer(
            tuple(one.joints), one.topic, self._robot.sync, False, self._robot.joint_speeds
        )
        jumps: dict[str, None] = {}
        for event in self._events:
            if event.source is one and event.positions:
                buffer.add(event.stamp, event.positions)
                if fault := buffer.fault(event.stamp):
                    jumps[fault] = None
        if jumps:
            text = f'{next(iter(jumps))} ({len(jumps)} jumps)'
            yield Finding(ERROR, one.subject, text, publishers_text(self._node, one.topic))

    def _summary(self, one: _Input) -> str:
        """Return rate, age and content of an input without a fault."""
        infos = self._node.get_publishers_info_by_topic(one.topic)
        sent = '; '.join(f'{info.node_name}: {describe(info.qos_profile)}' for info in infos)
        period = period_of(ordered(one.times).stamps)
        rate = f'{1.0 / period:.1f} Hz, ' if period > 0.0 else ''
        age = seconds(one.times[-1], one.stamps[-1])
        if one.joint is not None:
            what = f'{len(one.joints)} joints: {", ".join(one.joints)}'
        else:
            image = decode(one.newest, None, None, self._robot.options[one.name])
            coding = str(getattr(one.newest, 'encoding', getattr(one.newest, 'format', 'video')))
            what = f'{one.topic}, {coding}, {image.shape[1]} x {image.shape[0]} pixels'
        return f'{rate}age {age:.3f} s, {len(infos)} publisher ({sent}), {what}'

    def _moments(
        self, settings: MonitorSettings, joints: tuple[str, ...], end: int
    ) -> list[Finding]:
        """Select inputs as the monitor does, at its rate, from the first of every input on."""
        topics = {one.name: one.topic for one in self._inputs}
        topics[JOINTS] = joint_topics_text(self._robot.joints, self._node)
        buffer: InputBuffer[None] = InputBuffer(
            tuple(self._robot.cameras), joints, self._robot.sync, topics,
            joint_speeds=self._robot.joint_speeds,
        )  # fmt: skip
        waiting, kinds, first = list(self._events), Counter[str](), dict[str, str]()
        begin = max(one.first for one in self._inputs if one.first is not None)
        moments, skew = 0, 0.0
        for now in range(begin, end, round(SECOND / settings.rate)):
            while waiting and waiting[0].time <= now:
                _store(buffer, waiting.pop(0))
            selection = buffer.select(now)
            moments += 1
            if isinstance(selection, Unknown):
                kinds[selection.kind] += 1
                first.setdefault(selection.kind, selection.reason)
            else:
                skew = max(skew, selection.skew)
        known = moments - kinds.total()
        text = f'{known} of {moments} moments have all inputs'
        if not kinds:
            limit = f'slop {self._robot.sync.slop:g}'
            return [Finding(OK, 'inputs', f'{text}, largest skew {skew:.3f} s ({limit})')]
        level = WARN if 2 * known > moments else ERROR
        return [
            Finding(level, 'inputs', f'{text}; {count} are unknown ({kind}): {first[kind]}')
            for kind, count in kinds.most_common()
        ]


def _store(buffer: InputBuffer[None], event: _Event) -> None:
    """Add a message to the buffer of a monitor."""
    if event.source.joint is None and event.refusal:
        buffer.refuse_image(event.source.name, event.stamp, event.refusal)
    elif event.source.joint is None:
        buffer.add_image(event.source.name, event.stamp, None)
    elif event.refusal:
        buffer.refuse_joints(event.stamp, event.refusal)
    else:
        buffer.add_joints(event.stamp, event.positions)
