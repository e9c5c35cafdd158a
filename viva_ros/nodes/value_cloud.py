# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The value along the path of the grippers, as a PointCloud2.

Forward kinematics of the robot description and the joints of each estimate yield the points. TF
would need tf2, which has no wheel, and its newest pose may be later than the estimate's stamp.
"""

from array import array
from collections.abc import Iterable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header, String

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Array, Estimate
from viva_ros.core.trajectory_cloud import FIELDS, POINT_STEP, CloudSettings, Trail, pack
from viva_ros.core.urdf import RobotDescription
from viva_ros.nodes import qos
from viva_ros.nodes.convert import header
from viva_ros.nodes.diagnostics import OK, WARN, Report

try:
    from sensor_msgs_py.point_cloud2 import create_cloud
except ImportError:  # it has no wheel
    create_cloud = None

UNKNOWN = float('nan')


class ValueCloud:
    """Stores estimates, and publishes their points while the topic has subscribers."""

    def __init__(self, node: Node, settings: CloudSettings, group: CallbackGroup) -> None:
        """:param group: callback group of publisher and subscription."""
        self._node, self._settings = node, settings
        self._trail = Trail(settings)
        self._topic = node.resolve_topic_name('robot_description')
        self._fault = f'nothing received on {self._topic}: start robot_state_publisher'
        self._text: str | None = None
        self._count = 0
        self._publisher = node.create_publisher(
            PointCloud2, 'value_cloud', qos.RELIABLE, callback_group=group
        )
        self._subscription = node.create_subscription(
            String, 'robot_description', self._store, qos.LATCHED_READER, callback_group=group
        )

    @property
    def has_subscribers(self) -> bool:
        """Whether the topic has subscribers."""
        return bool(self._publisher.get_subscription_count())

    def add(self, estimate: Estimate, stamp: int, episode: str, joints: Any) -> None:
        """
        Store an estimate.

        :param stamp: ns
        :param joints: name to position at the stamp, rad or m
        """
        channels = (estimate.value, estimate.progress, estimate.success, UNKNOWN)
        self._trail.add(stamp, episode, joints, channels)

    def publish(self, now: int) -> None:
        """Publish all points, if the topic has subscribers; ``now`` in ns."""
        if not self.has_subscribers:
            return
        self._parse_description()
        points = self._trail.points()
        self._count = len(points)
        self._publisher.publish(to_cloud(points, header(now, self._settings.fixed_frame)))

    def diagnose(self, report: Report) -> None:
        """Report the frames without points, while the topic has subscribers."""
        if not self.has_subscribers:
            return
        faults = [f'{self._topic}: {text}' for text in self._trail.faults.values()]
        remedy = 'set cloud.frames and cloud.fixed_frame to links of the robot'
        text = self._fault or '; '.join((*dict.fromkeys(faults), *([remedy] if faults else [])))
        figures = {'points': self._count, 'fixed_frame': self._settings.fixed_frame}
        report.add('value_cloud', WARN if text else OK, text or 'published', figures)

    def destroy(self) -> None:
        """Destroy publisher and subscription."""
        self._node.destroy_publisher(self._publisher)
        self._node.destroy_subscription(self._subscription)

    def _store(self, message: String) -> None:
        self._text = message.data

    def _parse_description(self) -> None:
        """Parse a new description; deferred until the topic has subscribers."""
        text, self._text = self._text, None
        if text is None:
            return
        try:
            self._trail.describe(RobotDescription(text))
            self._fault = ''
        except InputError as error:
            self._trail.describe(None)
            self._fault = f'{self._topic} cannot be read: {error}'


def to_cloud(points: Array, header: Header, create: Any = create_cloud) -> PointCloud2:
    """
    Return points as a message.

    :param points: (N, 7) as ``FIELDS``
    :param create: ``create_cloud`` of sensor_msgs_py, which fails on an empty cloud; None: our own
        code creates the same message
    """
    fields = list(point_fields())
    if create is not None and len(points):
        return create(header, fields, points.astype('float32'))
    data = array('B')
    data.frombytes(pack(points))
    return PointCloud2(
        header=header, height=1, width=len(points), fields=fields, is_dense=False,
        is_bigendian=False, point_step=POINT_STEP, row_step=POINT_STEP * len(points), data=data,
    )  # fmt: skip


def point_fields() -> Iterable[PointField]:
    """Return the fields of a point, all float32."""
    for place, name in enumerate(FIELDS):
        yield PointField(name=name, offset=4 * place, datatype=PointField.FLOAT32, count=1)
