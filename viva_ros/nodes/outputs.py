# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publish the monitor's values and forecasts, and visualizations while they have subscribers."""

import math
from collections import deque
from typing import Any

from geometry_msgs.msg import Point
from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import ColorRGBA, Float32
from visualization_msgs.msg import Marker, MarkerArray

from viva_ros.core.episode_state import EpisodeState
from viva_ros.core.events import is_alarming
from viva_ros.core.inputs import Selection
from viva_ros.core.observation import Estimate, Unknown
from viva_ros.core.trajectory_cloud import CloudSettings
from viva_ros.msg import Alert, FutureProprioception, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import (
    header,
    to_forecast,
    to_image,
    to_joint_state,
    to_ns,
    to_unknown_value,
    to_value,
)  # fmt: skip
from viva_ros.nodes.value_cloud import ValueCloud
from viva_ros.nodes.value_image import draw_value

SPAN = 20.0  # s, of the plot
MAX_SAMPLES = 2000
CURVE_WIDTH, CURVE_HEIGHT = 1.0, 0.25  # m, of the marker's curve


class Outputs:
    """The monitor's publishers; recent values are stored for the visualizations."""

    def __init__(
        self, node: LifecycleNode, task: str, engine: str, horizon: float, rate: float,
        session: int, group: CallbackGroup, cloud: CloudSettings,
    ) -> None:  # fmt: skip
        """
        Create the publishers.

        :param rate: rate of the estimates, Hz
        :param session: start of this process, ns since the epoch
        :param group: callback group of the publishers' events
        """
        self._task, self._engine, self._horizon, self._rate = task, engine, horizon, rate
        self._session = session
        self._samples: deque[tuple[float, float]] = deque(maxlen=MAX_SAMPLES)
        self._alerts: deque[tuple[float, str]] = deque(maxlen=50)
        self._node = node

        def publisher(kind: type, topic: str) -> Any:
            return node.create_publisher(kind, topic, qos.RELIABLE, callback_group=group)

        self._value = publisher(Value, 'value')
        self._scalar = publisher(Float32, 'value_scalar')
        self._forecast = publisher(FutureProprioception, 'future_proprioception')
        self._joints = publisher(JointState, 'future_joint_states')
        self._plot = publisher(Image, 'value_plot')
        self._markers = publisher(MarkerArray, 'value_markers')
        self._cloud = ValueCloud(node, cloud, group)
        self.diagnose = self._cloud.diagnose

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher in (
            self._value, self._scalar, self._forecast, self._joints, self._plot, self._markers
        ):  # fmt: skip
            self._node.destroy_publisher(publisher)
        self._cloud.destroy()

    def change(self, task: str, engine: str, horizon: float) -> None:
        """Switch to another task and engine; the curve is cleared."""
        self._task, self._engine, self._horizon = task, engine, horizon
        self._samples.clear()

    def publish(
        self, estimate: Estimate, selection: Selection[object], episode: EpisodeState, now: int
    ) -> Value:
        """Publish an estimate, and its other forms while they have subscribers."""
        value = self._send(to_value(estimate, selection, now, self._horizon), episode)
        if self._scalar.get_subscription_count():
            self._scalar.publish(Float32(data=value.value))
        if estimate.forecast:
            self._publish_forecast(estimate, selection, episode)
        self._cloud.add(estimate, selection.stamp, episode.id, selection.proprio)
        return value

    def _publish_forecast(
        self, estimate: Estimate, selection: Selection[object], episode: EpisodeState
    ) -> None:
        if self._forecast.get_subscription_count():
            forecast = to_forecast(estimate, selection.stamp, self._horizon)
            forecast.engine, forecast.episode_id = self._engine, episode.id
            self._forecast.publish(forecast)
        if self._joints.get_subscription_count():
            ahead = selection.stamp + round(self._horizon * 1e9)
            self._joints.publish(to_joint_state(estimate.forecast, ahead))

    def publish_unknown(self, unknown: Unknown, episode: EpisodeState, now: int) -> Value:
        """Publish an unknown value."""
        return self._send(to_unknown_value(unknown, now), episode)

    def note_alert(self, alert: Alert) -> None:
        """Store an alert for the plot."""
        if is_alarming(alert.level, alert.kind):
            self._alerts.append((to_ns(alert.header.stamp) * 1e-9, alert.kind))

    def publish_visualizations(self, now: int, frame_id: str) -> None:
        """Draw recent values; each visualization only while it has subscribers."""
        title = self._title()
        if self._plot.get_subscription_count():
            image = draw_value(list(self._samples), list(self._alerts), now * 1e-9, SPAN, title)
            self._plot.publish(to_image(image, now, frame_id))
        if self._markers.get_subscription_count():
            self._markers.publish(self._make_markers(now, frame_id, title))
        self._cloud.publish(now)

    def _send(self, value: Value, episode: EpisodeState) -> Value:
        value.task, value.engine, value.rate = self._task, self._engine, self._rate
        value.episode_id, value.executing = episode.id, episode.executing
        value.session_id = self._session
        self._samples.append((to_ns(value.header.stamp) * 1e-9, value.value))
        self._value.publish(value)
        return value

    def _title(self) -> str:
        last = self._samples[-1][1] if self._samples else math.nan
        return (
            f'{self._task}: value {last:+.2f}' if math.isfinite(last) else f'{self._task}: unknown'
        )

    def _make_markers(self, now: int, frame_id: str, title: str) -> MarkerArray:
        known = [(at, value) for at, value in self._samples if math.isfinite(value)]
        points = [
            Point(x=CURVE_WIDTH * (1.0 + (at - now * 1e-9) / SPAN), z=CURVE_HEIGHT * value)
            for at, value in known if now * 1e-9 - at <= SPAN
        ]  # fmt: skip
        text = Marker(header=header(now, frame_id), ns='viva', id=0, text=title)
        text.type, text.action = Marker.TEXT_VIEW_FACING, Marker.ADD
        text.pose.position.z = 1.5 * CURVE_HEIGHT
        text.scale.z = 0.08
        text.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        curve = Marker(header=header(now, frame_id), ns='viva', id=1, points=points)
        curve.type = Marker.LINE_STRIP
        curve.action = Marker.ADD if len(points) > 1 else Marker.DELETE
        curve.scale.x = 0.01
        curve.color = ColorRGBA(r=0.35, g=0.8, b=0.5, a=1.0)
        return MarkerArray(markers=[text, curve])
