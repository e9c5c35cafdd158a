# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Process that publishes cameras and joints of a robot, on a common grid of stamps.

usage: fake_source.py FOLDER SOURCE...; a source is a camera or 'joint_states'. The brightness of
each image is read from FOLDER/level (0 to 255); FOLDER/late shifts the stamps, s.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
import rclpy.utilities
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState

from viva_ros.nodes.convert import to_image, to_joint_state

PERIOD = round(1e9 / float(os.environ.get('FAKE_RATE', '10')))  # ns
RAMP = np.linspace(-30.0, 30.0, 64)
# In another order than in the engine, with an additional joint.
JOINTS = os.environ.get('FAKE_JOINTS', 'right_waist,left_waist,camera_pan').split(',')


def number(path: Path, default: float) -> float:
    try:
        return float(path.read_text())
    except (OSError, ValueError):  # missing, or being written
        return default


def picture(level: float, count: int) -> np.ndarray:
    pixels = np.repeat((level + RAMP)[None, :, None], 64, axis=0).repeat(3, axis=2)
    pixels[0, count % 64] += 20.0
    return np.clip(pixels, 0, 255).astype(np.uint8)


def main() -> None:
    folder, *sources = rclpy.utilities.remove_ros_args(sys.argv)[1:]
    folder = Path(folder)
    rclpy.init()
    node = rclpy.create_node(f'source_{sources[0]}')
    publishers = {}
    for source in sources:
        kind, topic = (Image, f'{source}/image_raw')
        if source == 'joint_states':
            kind, topic = JointState, source
        publishers[source] = node.create_publisher(kind, topic, qos_profile_sensor_data)
    count, level = 0, 128.0
    while rclpy.ok():
        due = time.time_ns() // PERIOD * PERIOD + PERIOD
        time.sleep(max(0.0, (due - time.time_ns()) * 1e-9))
        count += 1
        level = number(folder / 'level', level)
        stamp = due + round(1e9 * number(folder / 'late', 0.0))
        for source, publisher in publishers.items():
            if source == 'joint_states':
                positions = {name: 0.1 * i + 0.01 * count for i, name in enumerate(JOINTS)}
                publisher.publish(to_joint_state(positions, stamp))
            else:
                publisher.publish(to_image(picture(level, count), stamp, source))


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        pass
