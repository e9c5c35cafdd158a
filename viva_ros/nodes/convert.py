# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert between ROS messages and the types of the core, without a copy of image data."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header

from viva_ros.core.detection.rules import Details, Proprioception
from viva_ros.core.events import Event
from viva_ros.core.inputs import Selection
from viva_ros.core.observation import SECOND, Estimate, Unknown
from viva_ros.core.observation import Image as Pixels
from viva_ros.engine.image_decoding import (
    AS_DECLARED,
    ImageOptions,
    decode_compressed,
    reordered,
    view_image,
)
from viva_ros.engine.image_encodings import check_image
from viva_ros.engine.video_decoding import DecodedPicture
from viva_ros.msg import Alert, FutureProprioception, Value
from viva_ros.nodes.image_bridge import View, takes, view_by
from viva_ros.nodes.image_messages import CompressedImageView, ImageView

#: A camera's message, as rclpy deserializes it or as its bytes are read, or a picture of a video.
ImageMessage: TypeAlias = (
    Image | ImageView | CompressedImage | CompressedImageView | DecodedPicture
)


def to_ns(stamp: Time) -> int:
    """Return a stamp in ns."""
    return int(stamp.sec) * SECOND + int(stamp.nanosec)


def to_time(stamp: int) -> Time:
    """Return a stamp, ns, as a message."""
    return Time(sec=stamp // SECOND, nanosec=stamp % SECOND)


def header(stamp: int, frame_id: str = '') -> Header:
    """Return a header with a stamp, ns."""
    return Header(stamp=to_time(stamp), frame_id=frame_id)


def stamp_of(message: Any) -> int:
    """Return the stamp of a message with a header, or of a CompressedVideo, ns."""
    return to_ns(message.header.stamp if hasattr(message, 'header') else message.timestamp)


def publisher_of(info: Mapping[str, Any]) -> bytes:
    """
    Return the GID of the publisher of a message; empty where the middleware does not tell it.

    :param info: what rclpy passes with the message; that of Jazzy has no GID
    """
    gid = info.get('publisher_gid')
    return bytes(gid['data']) if gid else b''


def gid_key(gid: Sequence[int]) -> bytes:
    """Return a GID without the padding of some releases, so that two of a publisher are equal."""
    return bytes(gid).rstrip(b'\0')


def node_of(publisher: TopicEndpointInfo) -> str:
    """Return the full name of the node of a publisher in the graph."""
    return f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'


def image_bytes(message: ImageMessage) -> memoryview:
    """Return the data of an image message as received, or the pixels of a video, uncopied."""
    if isinstance(message, DecodedPicture):
        return message.data.data
    return memoryview(message.data)


def decode(
    message: ImageMessage, size: tuple[int, int] | None = None, view: View | None = None,
    options: ImageOptions = AS_DECLARED,
) -> Pixels:  # fmt: skip
    """
    Decode an image message, or convert a picture of a video.

    :param size: (height, width) of the later resize, px: a JPEG may be decoded smaller; None: full
        size
    :param view: conversion of cv_bridge, for messages that ``takes`` accepts; None: our own code,
        with equal pixels
    :param options: overrides of what the message says; with them, our own code reads all messages
    :returns: (H, W, 3) RGB, possibly a view of the message's data
    :raises InputError: on an unsupported encoding, format, size or content
    """
    if isinstance(message, DecodedPicture):
        return reordered(message.data, options)
    data = image_bytes(message)
    if isinstance(message, CompressedImage | CompressedImageView):
        return decode_compressed(message.format, data, size, options)
    layout = message.encoding, message.height, message.width, message.step
    if view is not None and options == AS_DECLARED and takes(message):
        check_image(*layout, len(data))
        return view_by(view, message)
    return view_image(*layout, data, bool(message.is_bigendian), options)


def to_image(pixels: Pixels, stamp: int, frame_id: str) -> Image:
    """Return an RGB image, (H, W, 3), as a message."""
    height, width = pixels.shape[:2]
    return Image(
        header=header(stamp, frame_id), height=height, width=width, encoding='rgb8',
        step=3 * width, data=np.ascontiguousarray(pixels).tobytes(),
    )  # fmt: skip


def to_joint_state(positions: Mapping[str, float], stamp: int) -> JointState:
    """Return positions by name, rad or m, as a message."""
    return JointState(
        header=header(stamp), name=list(positions), position=[float(x) for x in positions.values()]
    )


def to_value(
    estimate: Estimate, selection: Selection[object], now: int, horizon: float = math.nan
) -> Value:
    """Return an estimate as a message; the caller sets task, episode and engine."""
    return Value(
        header=header(selection.stamp),
        status=Value.STATUS_OK,
        value=estimate.value,
        progress=estimate.progress,
        success_probability=estimate.success,
        latency=max(0.0, (now - selection.stamp) * 1e-9),
        skew=selection.skew,
        input_names=list(selection.stamps),
        input_stamps=[to_time(stamp) for stamp in selection.stamps.values()],
        joint_names=list(selection.proprio),
        positions=[float(x) for x in selection.proprio.values()],
        forecast=[float(estimate.forecast[name]) for name in selection.proprio]
        if estimate.forecast else [],
        horizon=horizon,
    )  # fmt: skip


def to_details(message: Value) -> Details:
    """Return success, progress and joints of a value; joints with wrong lengths are left out."""
    names, count = tuple(message.joint_names), len(message.joint_names)
    joints = None
    if count and len(message.positions) == count and np.isfinite(message.positions).all():
        has_forecast = len(message.forecast) == count and bool(np.isfinite(message.forecast).all())
        joints = Proprioception(
            names, np.array(message.positions),
            np.array(message.forecast) if has_forecast else None, message.horizon,
        )  # fmt: skip
    return Details(message.success_probability, message.progress, joints)


def to_unknown_value(unknown: Unknown, stamp: int) -> Value:
    """Return an unknown value as a message; the caller sets task, episode and engine."""
    return Value(
        header=header(stamp), status=Value.STATUS_UNKNOWN,
        reason_kind=unknown.kind, reason=unknown.reason,
        value=math.nan, progress=math.nan, success_probability=math.nan,
        latency=math.nan, skew=math.nan, horizon=math.nan,
    )  # fmt: skip


def to_forecast(estimate: Estimate, stamp: int, horizon: float) -> FutureProprioception:
    """Return a forecast as a message; the caller sets episode and engine."""
    return FutureProprioception(
        header=header(stamp),
        joint_names=list(estimate.forecast),
        positions=[float(x) for x in estimate.forecast.values()],
        horizon=horizon,
    )


def to_alert(event: Event, stamp: int) -> Alert:
    """Return an event as a message; the caller sets retries and session."""
    return Alert(
        header=header(stamp), level=int(event.level), kind=event.kind,
        value=event.value, statistic=event.statistic, threshold=event.threshold,
        episode_id=event.episode_id, onset=to_time(event.onset), text=event.text,
        alpha=event.alpha, window_stamps=[to_time(stamp) for stamp, _, _ in event.window],
        window_values=[value for _, value, _ in event.window],
        window_statistics=[statistic for _, _, statistic in event.window],
    )  # fmt: skip
