# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Cameras and joints for the benchmark, in a process with little computation.

Messages are serialised once; only their stamps change. Each image is stamped when it is sent, so
that the latency of the node excludes the time of the sender.
"""

import argparse
import json
import os
import signal
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import rclpy
from rclpy.publisher import Publisher
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image, JointState

from viva_ros.bringup.processes import environment
from viva_ros.core.files import write_atomically
from viva_ros.core.observation import SECOND
from viva_ros.core.observation import Image as Pixels
from viva_ros.engine.factory import load
from viva_ros.engine.resources import engine_folder
from viva_ros.nodes.convert import header, to_image, to_joint_state

PICTURES: Final = 8  # different images, so that the check for frozen cameras passes
STAMP_AT: Final = 4  # bytes; after the CDR header
JOINT_SETS: Final = 5  # joint states in the time of one picture, at 10 Hz


class Sender:
    """Sends serialised messages of one topic in turn."""

    def __init__(self, publisher: Publisher[object], messages: Sequence[bytes]) -> None:
        self._publisher = publisher
        self._messages = [bytearray(message) for message in messages]
        self.stamps: list[int] = []

    def send(self) -> None:
        """Send the next message, with the current time as its stamp."""
        message = self._messages[len(self.stamps) % len(self._messages)]
        now = time.time_ns()
        self.stamps.append(now)
        struct.pack_into('<iI', message, STAMP_AT, now // SECOND, now % SECOND)
        self._publisher.publish(bytes(message))


def pictures(height: int, width: int, seed: int) -> list[Pixels]:
    """Return images with large shapes and some noise, like those of a camera."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(PICTURES):
        coarse = random.integers(20, 236, (8, 8, 3), dtype=np.uint8)
        smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        noise = random.normal(0.0, 2.0, smooth.shape)
        made.append(np.clip(smooth + noise, 0, 255).astype(np.uint8))
    return made


def message_of(pixels: Pixels, transport: str) -> Image | CompressedImage:
    """Return an image as a message of the camera."""
    if transport == 'raw':
        return to_image(pixels, 1, 'camera')
    _, content = cv2.imencode('.jpg', pixels[..., ::-1])
    return CompressedImage(header=header(1, 'camera'), format='jpeg', data=content.tobytes())


def main(argv: Sequence[str] | None = None) -> None:
    """Publish until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--height', type=int, required=True)
    parser.add_argument('--width', type=int, required=True)
    parser.add_argument('--transport', choices=('raw', 'compressed'), required=True)
    parser.add_argument('--rate', type=float, required=True)
    parser.add_argument('--engine', default='')
    parser.add_argument('--task', required=True)
    parser.add_argument('--log', type=Path, required=True, help='JSON file of the sent stamps')
    args = parser.parse_args(argv)
    info = load(engine_folder(args.engine, args.task), args.task).info
    os.environ |= environment()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('bench_source')
    kind, suffix = (Image, '') if args.transport == 'raw' else (CompressedImage, '/compressed')
    cameras = []
    for seed, camera in enumerate(info.cameras):
        publisher = node.create_publisher(
            kind, f'{camera}/image_raw{suffix}', qos_profile_sensor_data
        )
        images = pictures(args.height, args.width, seed)
        cameras.append(
            Sender(publisher, [serialize_message(message_of(p, args.transport)) for p in images])
        )
    publisher = node.create_publisher(JointState, 'joint_states', qos_profile_sensor_data)
    state = to_joint_state(dict.fromkeys(info.joint_names, 0.1), 1)
    with suppress(KeyboardInterrupt):  # SIGINT ends the process
        publish(cameras, Sender(publisher, [serialize_message(state)]), args.rate)
    write_atomically(args.log, json.dumps(cameras[-1].stamps))


def publish(cameras: Sequence[Sender], joints: Sender, rate: float) -> None:
    """Send at fixed times of the steady clock; joints several times as often as images."""
    period = 1.0 / rate
    due = time.monotonic()
    while True:
        for part in range(JOINT_SETS):
            time.sleep(max(0.0, due - time.monotonic()))
            joints.send()
            if not part:
                for camera in cameras:
                    camera.send()
            due += period / JOINT_SETS


if __name__ == '__main__':
    main()
