# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages as bytes on the wire, images and packets of videos, as nodes and readers use them."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image, JointState
from support.lerobot_datasets import numbered
from support.video_streams import stream

from fuzz.target import Target
from viva_ros.core.errors import VivaError
from viva_ros.core.events import is_alarming
from viva_ros.core.inputs import InputBuffer, SyncSettings
from viva_ros.data.messages import deserialise
from viva_ros.data.recorded_messages import alerts, truth, values
from viva_ros.data.recording import Recording, Track
from viva_ros.data.segmentation import spans
from viva_ros.engine.image_decoding import decode_compressed
from viva_ros.engine.video_decoding import VideoDecoder, VideoPacket, to_image
from viva_ros.msg import Alert, Episode, GroundTruth, Value
from viva_ros.nodes.black_box import describe
from viva_ros.nodes.convert import (
    decode,
    header,
    stamp_of,
    to_details,
    to_joint_state,
    to_ns,
    to_time,
)
from viva_ros.nodes.image_messages import IMAGE_READERS, end_of_content
from viva_ros.nodes.robot_topics import JointTopic
from viva_ros.nodes.settings import BlackBoxSettings
from viva_ros.robot.topic_map import JointSource

NOW: Final = 1_700_000_000_000_000_000  # ns
TOPIC: Final = '/x'


def received(kind: type) -> Callable[[bytes], Any]:
    """Return a function that takes a message from the middleware; None if that refuses it."""

    def take(cdr: bytes) -> Any:
        try:
            end_of_content(cdr)
            read = IMAGE_READERS.get(kind)
            return read(cdr) if read else deserialize_message(cdr, kind)
        except Exception:  # rclpy raises its own errors of many types, never to a callback
            return None

    return take


def live(kind: type, use: Callable[[Any], object]) -> Callable[[bytes, Path], None]:
    """Return a reader: the middleware takes the message, a node uses it."""
    take = received(kind)

    def read(cdr: bytes, folder: Path) -> None:
        message = take(cdr)
        if message is not None:
            use(message)

    return read


def use_joints(message: Any) -> None:
    topic = JointTopic('joint_states', JointSource(TOPIC))
    buffer: InputBuffer[None] = InputBuffer((), ('left_waist', 'right_waist'), SyncSettings())
    stamp = stamp_of(message)
    buffer.add_joints(NOW, {'left_waist': 0.1, 'right_waist': 0.1})
    try:
        buffer.add_joints(stamp, topic.positions(message, TOPIC))
    except VivaError as error:
        buffer.refuse_joints(stamp, str(error))
    for now in (NOW, stamp):
        buffer.select(now)
        buffer.joint_fault(now)


def use_image(message: Any) -> None:
    buffer: InputBuffer[Any] = InputBuffer(('head',), ('a',), SyncSettings())
    buffer.add_image('head', stamp_of(message), message)
    for size in (None, (224, 224)):
        decode(message, size)


def use_value(message: Any) -> None:
    to_details(message)
    to_ns(message.header.stamp)


def use_alert(message: Any) -> None:
    is_alarming(message.level, message.kind)
    describe(message, BlackBoxSettings())


def recorded(name: str, topic: str) -> Callable[[bytes, Path], None]:
    """Return a reader of a recording with this message on a topic."""

    def read(cdr: bytes, folder: Path) -> None:
        deserialise(name, cdr)
        track = Track(f'/{topic}', name, [NOW], [cdr])
        recording = Recording(folder / 'x.mcap', {track.topic: track}, {}, ())
        for function in (values, alerts, truth, spans):
            function(recording)

    return read


def message_seeds(folder: Path) -> dict[str, Sequence[bytes]]:
    stamp = header(NOW)
    pixels = bytes(range(192))
    image = Image(header=stamp, height=8, width=8, encoding='rgb8', step=24, data=pixels)
    value = Value(
        header=stamp, status=Value.STATUS_OK, value=0.5, task='tray_lift', episode_id='e',
        executing=True, engine='f' * 16, rate=10.0, input_names=['head', 'joint_states'],
        input_stamps=[to_time(NOW)] * 2, joint_names=['a'], positions=[0.1], forecast=[0.2],
        horizon=1.0,
    )  # fmt: skip
    alert = Alert(
        header=stamp, level=Alert.ALARM, kind='drop', text='x', window_values=[0.1, 0.2],
        window_stamps=[to_time(NOW)] * 2, window_statistics=[0.0, 0.1],
    )  # fmt: skip
    made = {
        'Image': [image, Image(header=stamp, height=2, width=4, encoding='mono16', step=8,
                               data=bytes(16))],
        'CompressedImage': [
            CompressedImage(header=stamp, format=text, data=picture(suffix))
            for text, suffix in (('jpeg', '.jpg'), ('rgb8; png compressed bgr8', '.png'))
        ],
        'JointState': [to_joint_state({'left_waist': 0.1, 'right_waist': 0.2}, NOW)],
        'Value': [value],
        'Alert': [alert],
        'Episode': [Episode(header=stamp, id='e', task='t', executing=True)],
        'GroundTruth': [GroundTruth(header=stamp, episode_id='e', task='t', failure='none')],
    }  # fmt: skip
    return {name: [bytes(serialize_message(one)) for one in some] for name, some in made.items()}


def picture(suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, numbered(5)[:16, :24])[1])


def image_seeds(folder: Path, suffix: str) -> list[bytes]:
    grey = np.arange(64, dtype=np.uint16).reshape(8, 8) * 900
    found = [picture(suffix), bytes(cv2.imencode(suffix, numbered(5)[..., 0])[1])]
    return [*found, bytes(cv2.imencode('.png', grey)[1])] if suffix == '.png' else found


def read_image(data: bytes, folder: Path, text: str) -> None:
    for size in (None, (16, 16)):
        decode_compressed(text, data, size)


@cache
def packets(codec: str) -> tuple[bytes, ...]:
    return stream(codec, 4, (48, 64))


def read_packets(data: bytes, folder: Path, codec: str) -> None:
    """Decode a changed packet first, and between valid ones; the decoder may refuse each."""
    errors = []
    for row in ([data], [packets(codec)[0], data, *packets(codec)[1:], packets(codec)[0]]):
        decoder = VideoDecoder()
        for number, packet in enumerate(row):
            try:
                shown = decoder.decode(VideoPacket(codec, NOW + number * 10**8, packet, number))
                _ = shown is None or to_image(shown)
            except VivaError as error:
                errors.append(error)


def of(name: str) -> Callable[[Path], Sequence[bytes]]:
    return lambda folder: message_seeds(folder)[name]


USES: Final = {
    'JointState': (JointState, use_joints), 'Image': (Image, use_image),
    'CompressedImage': (CompressedImage, use_image), 'Value': (Value, use_value),
    'Alert': (Alert, use_alert), 'Episode': (Episode, stamp_of),
}  # fmt: skip
RECORDED: Final = {
    'Value': 'value',
    'Alert': 'alert',
    'Episode': 'episode',
    'GroundTruth': 'ground_truth',
}

MESSAGES: Final = {
    **{
        f'live_{name}': Target(f'{name} from the middleware', of(name), live(kind, use))
        for name, (kind, use) in USES.items()
    },
    **{
        f'recorded_{name}': Target(
            f'{name} in a recording', of(name), recorded(f'viva_ros/msg/{name}', topic)
        )
        for name, topic in RECORDED.items()
    },
    **{
        text: Target(
            f'{text.upper()} image', partial(image_seeds, suffix=suffix),
            partial(read_image, text=text),
        )
        for text, suffix in (('jpeg', '.jpg'), ('png', '.png'))
    },
    **{
        codec: Target(
            f'packets of {codec.upper()}', lambda folder, codec=codec: packets(codec),
            partial(read_packets, codec=codec),
        )
        for codec in ('h264', 'h265', 'av1')
    },
}  # fmt: skip
