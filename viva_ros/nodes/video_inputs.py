# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Video cameras of the monitor: their packets are decoded in order, in one thread.

An image of 640 x 480 pixels takes about 1 ms of a core, one of 1920 x 1080 several times as much:
some such cameras would delay the callbacks of the executor.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from viva_ros.core.errors import ConfigurationError, InputError
from viva_ros.engine.image_decoding import ImageOptions
from viva_ros.engine.video_decoding import (
    DecodedPicture,
    VideoDecoder,
    VideoPacket,
    check_library,
)
from viva_ros.nodes import qos

MAX_WAITING: Final = 200  # packets of all cameras
TOO_SLOW: Final = (
    f'{MAX_WAITING} packets waited, decoding is slower than the cameras',
    'reduce their rate or size',
)
OTHER_PUBLISHER: Final = (
    'a packet of another publisher follows', 'end all but one publisher of that topic'
)  # fmt: skip

#: Called with camera, stamp (ns), and the picture or why there is none.
Deliver = Callable[[str, int, DecodedPicture | str], None]


def check_camera(camera: str, options: ImageOptions) -> None:
    """
    Check that a video camera can be decoded here.

    :raises ConfigurationError: if PyAV is missing, or the robot file has an image encoding for it
    """
    check_library()
    if options.encoding:
        raise ConfigurationError(
            'video-encoding-option',
            f'camera {camera} is video, but has "encoding: {options.encoding}" in the robot file: '
            'leave it out',
        )


def video_qos(node: Node, topic: str) -> QoSProfile:
    """Return the QoS that loses the fewest packets of the publishers of a topic."""
    found = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    offers = [info.qos_profile.reliability for info in found]
    reliable = bool(offers) and all(offer == ReliabilityPolicy.RELIABLE for offer in offers)
    return qos.RELIABLE_VIDEO if reliable else qos.VIDEO


class VideoInputs:
    """Decodes the packets of all video cameras until ``destroy``."""

    def __init__(self, node: Node, cameras: Iterable[str], deliver: Deliver) -> None:
        """:param deliver: called by the executor, in the order of the packets."""
        self._node, self._deliver = node, deliver
        self._decoders = {camera: VideoDecoder() for camera in cameras}
        self._waiting: deque[tuple[str, VideoPacket, tuple[str, ...]]] = deque()
        self._cut: set[str] = set()  # cameras whose packets were dropped
        self._done: deque[tuple[str, int, DecodedPicture | str]] = deque()
        self._changed = threading.Condition()
        self._open = True
        self._guard = node.create_guard_condition(self._take)
        self._thread = threading.Thread(target=self._run, name='video', daemon=True)
        self._thread.start()

    def put(self, camera: str, packet: VideoPacket, gap: tuple[str, ...] = ()) -> None:
        """
        Add a packet.

        :param gap: arguments of ``VideoDecoder.interrupt`` if packets are missing before it
        """
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                self._cut |= {name for name, _, _ in self._waiting}
                self._waiting.clear()
            if camera in self._cut:
                gap = TOO_SLOW
                self._cut.discard(camera)
            self._waiting.append((camera, packet, gap))
            self._changed.notify()

    def destroy(self) -> None:
        """End the thread."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()
        self._node.destroy_guard_condition(self._guard)

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._open and not self._waiting:
                    self._changed.wait()
                if not self._open:
                    return
                camera, packet, interruption = self._waiting.popleft()
            picture = self._decoded(self._decoders[camera], packet, interruption)
            if picture is not None:
                self._done.append((camera, packet.stamp, picture))
                self._guard.trigger()

    def _decoded(
        self, decoder: VideoDecoder, packet: VideoPacket, interruption: tuple[str, ...]
    ) -> DecodedPicture | str | None:
        if interruption:
            decoder.interrupt(*interruption)
        try:
            frame: Any = decoder.decode(packet)
        except InputError as error:
            return str(error)
        except Exception as error:  # the thread must survive any error of a library
            decoder.interrupt(f'decoding failed: {error!r}')
            return f'decoding failed: {error!r}'
        return None if frame is None else DecodedPicture(frame)

    def _take(self) -> None:
        """Deliver what is decoded."""
        while self._done:
            self._deliver(*self._done.popleft())
