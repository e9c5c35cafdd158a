# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages as bytes on the wire, which need rosbags to be cut."""

from typing import Any

from rclpy.serialization import serialize_message
from rosbags.serde import SerdeError

from viva_ros.data.messages import typestore


def wire_bytes(message: Any, kind: str) -> bytes:
    """Return the bytes of a message on the wire: Fast DDS puts up to 12 behind them here."""
    data = bytes(serialize_message(message))
    for behind in range(13):
        try:
            typestore().deserialize_cdr(data[: len(data) - behind], kind)
        except SerdeError:
            continue
        return data[: len(data) - behind]
    raise AssertionError(f'{kind} of {len(data)} bytes cannot be read')
