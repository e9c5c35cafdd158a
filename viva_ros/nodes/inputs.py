# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The monitor's inputs: the newest messages of each topic.

Callbacks only store messages; an image is decoded when it is used.
"""

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node

from viva_ros.core.errors import InputError
from viva_ros.core.inputs import JOINTS, InputBuffer, Selection
from viva_ros.core.observation import Unknown
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.video_decoding import DecodedPicture, packet_of
from viva_ros.nodes import qos
from viva_ros.nodes.callback_groups import PolledGroup
from viva_ros.nodes.convert import stamp_of
from viva_ros.nodes.diagnostics import ERROR, OK, WARN, Report
from viva_ros.nodes.image_messages import reuse_freed_memory
from viva_ros.nodes.malformed_messages import take_all
from viva_ros.nodes.registry import PROFILE, PROFILE_VARIABLE
from viva_ros.nodes.robot_topics import (
    VIDEO_TYPES,
    JointOrigins,
    JointTopic,
    RobotTopics,
    image_type,
    joint_topics_text,
    joint_type,
    message_class,
    publishers_text,
)
from viva_ros.nodes.settings import MonitorSettings
from viva_ros.nodes.video_inputs import OTHER_PUBLISHER, VideoInputs, check_camera, video_qos
from viva_ros.robot.topic_map import RECEIVED

MIN_SENT: Final = 4  # frames; the share of fewer is not judged
UNNAMED: Final = b''  # key of a publisher without an id in the message info


@dataclass(frozen=True)
class FrameShare:
    """Frames sent and received within a period; ``sent`` is None if it is not known."""

    sent: int | None
    received: int

    @property
    def is_low(self) -> bool:
        """Whether fewer than half of the frames arrived."""
        return self.sent is not None and self.sent >= MIN_SENT and 2 * self.received < self.sent


class FrameCounter:
    """Counts the frames of one topic that were sent and received."""

    def __init__(self) -> None:
        self._newest: dict[bytes, int] = {}
        self._sent = self._received = 0
        self._unnamed = self._unnumbered = False
        self._publishers: frozenset[bytes] = frozenset()

    def count(self, info: Mapping[str, Any]) -> int:
        """
        Count a frame, and the frames lost before it.

        :param info: message info of rclpy, with or without ``publisher_gid``
        :returns: number of frames lost directly before it; 0 if unknown
        """
        number, publisher = info['publication_sequence_number'], info.get('publisher_gid')
        missed = 0
        if number is None:
            self._unnumbered = True
        else:
            key = bytes(publisher['data']) if publisher else UNNAMED
            self._unnamed |= key == UNNAMED
            missed = max(0, number - self._newest.get(key, number - 1) - 1)
            self._newest[key] = number
        self._received += 1
        self._sent += 1 + missed
        return missed

    def collect(self, publishers: Collection[bytes]) -> FrameShare:
        """
        Return the counts since the last call.

        :param publishers: ids of the topic's current publishers
        """
        before, self._publishers = self._publishers, frozenset(publishers)
        same = len(self._publishers) == 1 and self._publishers == before
        unknown = self._unnumbered or (self._unnamed and not same)
        share = FrameShare(None if unknown else self._sent, self._received)
        if not same:  # the next number may be of another publisher
            self._newest.pop(UNNAMED, None)
        self._sent = self._received = 0
        self._unnamed = self._unnumbered = False
        return share


def frame_loss_text(topic: str, share: FrameShare) -> str:
    """Return a text on lost frames, with a remedy."""
    text = f'{share.received} of {share.sent} frames of {topic} arrived'
    if os.environ.get(PROFILE_VARIABLE):
        return f'{text}: the network or this machine is too slow, or the publisher was started ' \
               f'without {PROFILE_VARIABLE}'  # fmt: skip
    return (
        f'{text}: {PROFILE_VARIABLE} is not set; set it to {PROFILE} of viva_ros for the monitor '
        'and the camera driver, so that large images fit into shared memory'
    )


#: Message info of rclpy: a TypedDict on Kilted, an untyped dict with fewer keys on Jazzy.
MessageInfo: TypeAlias = Mapping[str, Any]


class Inputs:
    """Subscribes to all inputs until ``destroy``."""

    def __init__(
        self, node: Node, robot: RobotTopics, settings: MonitorSettings,
        info: EngineInfo, notify: Callable[[], None],
    ) -> None:  # fmt: skip
        """
        Subscribe.

        :param notify: called after each image
        :raises ConfigurationError: if the type of a topic is unknown or not installed
        """
        self._node, self._notify = node, notify
        reuse_freed_memory()
        self.complete_at = 0.0
        self._use_receipt = settings.receive_time
        self._unstamped: set[str] = set()
        self._names = {
            joint.name: node.resolve_topic_name(joint.source.topic) for joint in robot.joints
        }
        self._names |= {
            camera: node.resolve_topic_name(one.topic) for camera, one in robot.cameras.items()
        }
        self._received = {name for name, one in robot.cameras.items() if one.stamp == RECEIVED}
        self._received |= {joint.name for joint in robot.joints if joint.received}
        self._origins = JointOrigins()
        self._counters = {name: FrameCounter() for name in self._names}
        self._newest = dict.fromkeys(self._names, 0)
        self._faults: dict[str, str] = {}
        self.max_age = robot.sync.max_age
        topics = {**self._names, JOINTS: joint_topics_text(robot.joints, node)}
        self.buffer: InputBuffer[Any] = InputBuffer(
            info.cameras, info.joint_names, robot.sync, topics, joint_speeds=robot.joint_speeds
        )
        self._cameras = tuple(robot.cameras)
        self._publisher_of: dict[str, bytes] = {}
        self._video: VideoInputs | None = None
        self._video_cameras: list[str] = []
        self._subscriptions = self._subscribe_cameras(robot)
        self._polled = PolledGroup()
        self._joints = [(joint, joint_type(node, joint)) for joint in robot.joints]
        self._joint_subscriptions = [
            self._subscribe(
                kind, joint.name, joint.source.topic, qos.JOINTS,
                partial(self._store_joints, joint), self._polled,
            )
            for joint, kind in self._joints
        ]  # fmt: skip
        self._subscriptions += self._joint_subscriptions
        if self._video_cameras:  # last: nothing can fail with its thread running
            self._video = VideoInputs(node, self._video_cameras, self._store_picture)

    @property
    def topics(self) -> dict[str, str]:
        """Return the resolved topic of each camera."""
        return {name: self._names[name] for name in self._cameras}

    def complete(self, used: Mapping[str, int]) -> bool:
        """Return whether every camera has sent an image newer than these stamps, ns."""
        return all(self._newest[camera] > used.get(camera, -1) for camera in self._cameras)

    def take_joints(self) -> None:
        """Store the joint states received so far: one callback each would cost far more."""
        for (joint, _), subscription in zip(self._joints, self._joint_subscriptions, strict=True):
            for message, info in take_all(self._node, subscription):
                self._store_joints(joint, message, info)

    def select(self, now: int) -> Selection[Any] | Unknown:
        """Return the newest synchronized set of messages; Unknown if there is none."""
        self.take_joints()
        return self.buffer.select(now)

    def destroy(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        if self._video is not None:
            self._video.destroy()

    def diagnose(self, report: Report, now: int) -> None:
        """Report rate, age and faults of each input."""
        self.take_joints()
        self._polled.open()
        for name, topic in self._names.items():
            share = self._counters[name].collect(self._publishers(topic))
            age = (now - self._newest[name]) * 1e-9
            sent = 'unknown' if share.sent is None else share.sent
            values = {'topic': topic, 'rate_hz': share.received, 'sent_hz': sent}
            values['age_s'] = f'{age:.3f}'
            if name in self._faults:
                report.add(name, ERROR, self._faults[name], values)
            elif name in self._unstamped:
                text = f'stamp of {topic} is 0: its driver must set it, or receive_time'
                report.add(name, WARN, text, values)
            elif name in self._cameras and (fault := self.buffer.image_fault(name, now)):
                report.add(name, WARN, f'{topic}: {fault}', values)
            elif not self._newest[name]:
                count = self._node.count_publishers(topic)
                text = f'nothing received on {topic}, publishers: {count}'
                report.add(name, ERROR, text, values)
            elif age > self.max_age:
                text = f'{topic} is {age:.2f} s old, limit {self.max_age:g} s'
                report.add(name, WARN, text, values)
            elif name not in self._cameras and (fault := self.buffer.joint_fault(now)):
                report.add(name, WARN, f'{fault}; {publishers_text(self._node, topic)}', values)
            elif share.is_low and name in self._cameras:
                report.add(name, WARN, frame_loss_text(topic, share), values)
            else:
                report.add(name, OK, 'received', values)

    def _subscribe_cameras(self, robot: RobotTopics) -> list[Any]:
        node, cameras = self._node, robot.cameras
        kinds = {c: image_type(node, one.topic, robot.kinds[c]) for c, one in cameras.items()}
        classes = {camera: message_class(kind) for camera, kind in kinds.items()}
        video = [camera for camera, kind in kinds.items() if kind in VIDEO_TYPES]
        for camera in video:
            check_camera(camera, cameras[camera].options)
        self._video_cameras = video
        return [
            self._subscribe(
                classes[camera], camera, one.topic,
                video_qos(node, one.topic) if camera in video else qos.IMAGE,
                partial(self._store_packet if camera in video else self._store_image, camera),
            )
            for camera, one in cameras.items()
        ]  # fmt: skip

    def _subscribe(
        self, kind: type, name: str, topic: str, profile: Any, callback: Callable[..., None],
        group: CallbackGroup | None = None,
    ) -> Any:  # fmt: skip
        events = SubscriptionEventCallbacks(
            incompatible_qos=partial(self._on_incompatible, name),
            use_default_callbacks=False,
        )
        return self._node.create_subscription(
            kind, topic, callback, profile, callback_group=group, event_callbacks=events
        )

    def _publishers(self, topic: str) -> list[bytes]:
        found = self._node.get_publishers_info_by_topic(topic)
        return [bytes(publisher.endpoint_gid) for publisher in found]

    def _on_incompatible(self, name: str, event: Any) -> None:
        policy = getattr(event.last_policy_kind, 'name', event.last_policy_kind)
        self._faults[name] = f'a publisher of {self._names[name]} has incompatible QoS: {policy}'
        self._node.get_logger().error(self._faults[name])

    def _store_image(self, camera: str, message: Any, info: MessageInfo) -> None:
        stamp = self._stamp(camera, message)
        self._note(camera, stamp, info)
        self.complete_at = time.monotonic()
        self.buffer.add_image(camera, stamp, message)
        self._notify()

    def _store_packet(self, camera: str, message: Any, info: MessageInfo) -> None:
        """Pass a packet to the decoder, with why it does not follow the last one."""
        stamp, missed = self._stamp(camera, message), self._counters[camera].count(info)
        gid = info.get('publisher_gid')
        publisher = bytes(gid['data']) if gid else UNNAMED
        before, self._publisher_of[camera] = self._publisher_of.get(camera), publisher
        gap: tuple[str, ...] = (f'{missed} packets are missing',) if missed else ()
        if before not in (None, publisher):
            gap = OTHER_PUBLISHER
        if self._video is not None:
            self._video.put(camera, packet_of(message, stamp), gap)

    def _store_picture(self, camera: str, stamp: int, picture: DecodedPicture | str) -> None:
        if isinstance(picture, str):
            self.buffer.refuse_image(camera, stamp, picture)
            return
        self._newest[camera] = stamp
        self.complete_at = time.monotonic()
        self.buffer.add_image(camera, stamp, picture)
        self._notify()

    def _store_joints(self, joint: JointTopic, message: Any, info: MessageInfo) -> None:
        stamp, topic = self._stamp(joint.name, message), self._names[joint.name]
        self._note(joint.name, stamp, info)
        try:
            positions = joint.positions(message, topic)
            if len(self._joints) > 1:
                self._origins.check(topic, positions)
        except InputError as error:
            self.buffer.refuse_joints(stamp, str(error))
            self._node.get_logger().error(str(error), throttle_duration_sec=5.0)
        else:
            self.buffer.add_joints(stamp, positions)

    def _stamp(self, name: str, message: Any) -> int:
        """Return the stamp of a message, ns; the receive time if that is set."""
        if name in self._received:
            return int(self._node.get_clock().now().nanoseconds)
        stamp = stamp_of(message)
        if stamp == 0 and self._use_receipt:
            return int(self._node.get_clock().now().nanoseconds)
        (self._unstamped.discard if stamp else self._unstamped.add)(name)
        return stamp

    def _note(self, name: str, stamp: int, info: MessageInfo) -> None:
        self._counters[name].count(info)
        self._newest[name] = stamp
