# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Naive monitor, a baseline for the benchmark only.

It uses a MultiThreadedExecutor, converts each image in its callback as cv_bridge does, runs the
engine in the callback of the first camera, and has no checks of ages, stamps or images. The engine
is that of the monitor.
"""

import argparse
import os
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, JointState

from benchmarks.speed.node_log import Log, TimedEngine
from viva_ros.bringup.processes import environment
from viva_ros.core.observation import Image as Pixels
from viva_ros.core.observation import Observation
from viva_ros.engine.factory import load
from viva_ros.engine.resources import engine_folder
from viva_ros.msg import Value


class NaiveMonitor(Node):
    """Subscribes, converts, estimates and publishes in callbacks."""

    def __init__(self, engine: TimedEngine, transport: str, log: Log) -> None:
        super().__init__('naive_monitor')
        self._engine, self._log = engine, log
        self._images: dict[str, Pixels] = {}
        self._joints: dict[str, float] = {}
        self._value = self.create_publisher(Value, 'value', 10)
        group = ReentrantCallbackGroup()
        kind, suffix = (Image, '') if transport == 'raw' else (CompressedImage, '/compressed')
        for camera in engine.info.cameras:
            self.create_subscription(
                kind, f'{camera}/image_raw{suffix}', partial(self._on_image, camera),
                qos_profile_sensor_data, callback_group=group,
            )  # fmt: skip
        self.create_subscription(
            JointState, 'joint_states', self._on_joints, qos_profile_sensor_data,
            callback_group=group,
        )  # fmt: skip
        log.start(self)

    def _on_joints(self, message: JointState) -> None:
        self._joints = dict(zip(message.name, message.position, strict=True))

    def _on_image(self, camera: str, message: Any) -> None:
        self._images[camera] = to_rgb(message)
        last = self._engine.info.cameras[-1]  # the one that is sent last: the set is complete
        if camera == last and len(self._images) == len(self._engine.info.cameras) and self._joints:
            self._estimate(message.header)

    def _estimate(self, header: Any) -> None:
        stamp = header.stamp.sec * 10**9 + header.stamp.nanosec
        observation = Observation(dict(self._images), dict(self._joints), {'images': stamp})
        estimate = self._engine.estimate(observation)
        now = self.get_clock().now().nanoseconds
        latency = (now - stamp) * 1e-9
        self._value.publish(Value(header=header, value=estimate.value, latency=latency))
        self._log.note(stamp, latency)


def to_rgb(message: Any) -> Pixels:
    """Convert an image like imgmsg_to_cv2 and compressed_imgmsg_to_cv2 of cv_bridge."""
    if isinstance(message, CompressedImage):
        encoded = np.ndarray(len(message.data), np.uint8, message.data)
        pixels = cv2.imdecode(encoded, cv2.IMREAD_ANYCOLOR)
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    shape = (message.height, message.width, 3)
    return np.ndarray(shape, np.uint8, message.data).copy()


def main(argv: Sequence[str] | None = None) -> None:
    """Spin until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('log', type=Path)
    parser.add_argument('--transport', required=True)
    parser.add_argument('--engine', default='')
    parser.add_argument('--kind', default='auto')
    parser.add_argument('--task', required=True)
    args = parser.parse_args(argv)
    os.environ |= environment()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = engine_folder(args.engine, args.task)
    engine = TimedEngine(load(folder, args.task, args.kind))
    log = Log(args.log, engine)
    rclpy.init()
    node = NaiveMonitor(engine, args.transport, log)
    executor = MultiThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    log.write()
    time.sleep(0.1)
    os._exit(0)  # threads of the executor may still be in a callback


if __name__ == '__main__':
    main()
