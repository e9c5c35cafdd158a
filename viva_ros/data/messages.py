# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
ROS 2 messages without ROS: the same bytes (CDR) and schemas as on the wire.

The definitions of this package are read from ``msg/`` of the source tree or of the installation:
each message has one definition.
"""

import os
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from viva_ros.core.errors import RecordingError
from viva_ros.core.input_limits import DEFINITION_LIMIT
from viva_ros.core.observation import SECOND, Array
from viva_ros.data.definition_check import check_definition

IDL_LINE: Final = '=' * 80 + '\n'


@cache
def _standard() -> Typestore:
    """Return the message types of ROS 2 Kilted."""
    return get_typestore(Stores.ROS2_KILTED)


#: Definitions of video packets, which SQLite bags of earlier versions of ROS 2 do not contain.
VIDEO_DEFINITIONS: Final = {
    'ffmpeg_image_transport_msgs/msg/FFMPEGPacket': (
        'std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n'
        'uint8 flags\nbool is_bigendian\nuint8[] data\n'
    ),
    'foxglove_msgs/msg/CompressedVideo': (
        'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n'
    ),
}


@cache
def typestore() -> Typestore:
    """Return the message types of ROS 2 Kilted, of this package, and of video packets."""
    store = get_typestore(Stores.ROS2_KILTED)
    for name, text in VIDEO_DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    for path in sorted(_definitions().glob('*.msg')):
        store.register(get_types_from_msg(path.read_text(), f'viva_ros/msg/{path.stem}'))
    return store


def _definitions() -> Path:
    """Return the folder of the message definitions of this package."""
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    candidates = [Path(__file__).resolve().parents[2] / 'msg']
    candidates += [Path(p) / 'share/viva_ros/msg' for p in (sys.prefix, *filter(None, prefixes))]
    for folder in candidates:
        if (folder / 'Value.msg').is_file():
            return folder
    searched = ', '.join(map(str, candidates))
    raise RecordingError(
        'messages-missing', f'Value.msg is in none of {searched}: install the package again'
    )


@cache
def schema(type_name: str) -> str:
    """
    Return the definition of a type and of its field types, in MCAP's encoding ``ros2msg``.

    :param type_name: such as 'sensor_msgs/msg/Image'
    :raises RecordingError: if the type is unknown
    """
    return str(_known(type_name).generate_msgdef(type_name, ros_version=2)[0])


@cache
def type_hash(type_name: str) -> str:
    """
    Return the hash of a type's definition (REP 2016), such as 'RIHS01_...'.

    :raises RecordingError: if the type is unknown
    """
    return str(_known(type_name).hash_rihs01(type_name))


def serialise(type_name: str, message: Any) -> bytes:
    """Return the CDR bytes of a message made by ``make``."""
    return bytes(_known(type_name).serialize_cdr(message, type_name))


@dataclass(frozen=True)
class Definition:
    """
    The definition of a type in a recording.

    :param language: 'ros2msg' or 'ros2idl'
    :param text: with the definitions of the field types
    """

    language: str
    text: str


def without_comments(definition: str) -> str:
    """Return a .msg definition without lines that are empty or comments: parsing them is slow."""
    lines = map(str.strip, definition.split('\n'))
    return ''.join(f'{line}\n' for line in lines if line and line[0] != '#')


def _types_of(type_name: str, definition: Definition) -> dict[str, Any]:
    """Parse a definition; rosbag2 separates several IDL files by a line."""
    if definition.language != 'ros2idl':
        return dict(get_types_from_msg(without_comments(definition.text), type_name))
    parts = definition.text.split(f'{IDL_LINE}IDL: ')
    texts = [part.partition('\n')[2] for part in parts[1:]] or parts
    return {name: one for text in texts for name, one in get_types_from_idl(text).items()}


@cache
def _with_definition(type_name: str, definition: Definition) -> Typestore:
    """Return the types of ROS 2 and those of a definition; ROS 2 takes precedence."""
    store = get_typestore(Stores.ROS2_KILTED)
    try:
        if len(definition.text) > DEFINITION_LIMIT:
            raise ValueError(f'it has more than {DEFINITION_LIMIT} characters')
        types = _types_of(type_name, definition)
        store.register({name: one for name, one in types.items() if name not in store.types})
        check_definition(store.fielddefs, type_name)
    except Exception as error:  # the parser raises errors of many types
        raise RecordingError(
            'type-definition',
            f'the definition of {type_name} in the recording cannot be read ({error!r}): name the '
            'folder of its .msg files as "definitions" in the map',
        ) from error
    return store


def deserialise(type_name: str, cdr: bytes, definition: Definition | None = None) -> Any:
    """
    Return the message in CDR bytes.

    :param definition: as recorded; it takes precedence over this package's, which may have
        changed, but not over ROS 2's
    :raises RecordingError: if the bytes are damaged, or the type is unknown
    """
    if definition is not None and definition.text and type_name not in _standard().types:
        store = _with_definition(type_name, definition)
    else:
        store = _known(type_name)
    try:
        return store.deserialize_cdr(cdr, type_name)
    except Exception as error:  # the generated code of rosbags raises errors of many types
        raise RecordingError(
            'message-damaged',
            f'a {type_name} of {len(cdr)} bytes is damaged ({error!r}): leave the recording out',
        ) from error


def make(type_name: str, **fields: Any) -> Any:
    """Return a message with these fields; all are required, sequences of numbers are arrays."""
    return _known(type_name).types[type_name](**fields)


def _known(type_name: str) -> Typestore:
    store = typestore()
    if type_name not in store.types:
        raise RecordingError(
            'type-unknown',
            f'message type {type_name!r} is unknown, and the recording does not define it: name '
            'the folder of its .msg files as "definitions" in the map',
        )
    return store


def to_time(stamp: int) -> Any:
    """Return a stamp, ns, as builtin_interfaces/Time."""
    sec, nanosec = divmod(stamp, SECOND)
    return make('builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec)


def from_time(time: Any) -> int:
    """Return a builtin_interfaces/Time as stamp, ns."""
    return int(time.sec) * SECOND + int(time.nanosec)


def stamp_of(cdr: bytes) -> int:
    """Return the header stamp of a serialised message that begins with its header, ns."""
    if len(cdr) < 12:
        raise RecordingError(
            'message-truncated',
            f'a message of {len(cdr)} bytes has no header: leave the recording out',
        )
    sec, nanosec = struct.unpack_from('<iI' if cdr[1] & 1 else '>iI', cdr, 4)
    return int(sec) * SECOND + int(nanosec)


def header(stamp: int, frame_id: str = '') -> Any:
    """Return a std_msgs/Header; stamp in ns."""
    return make('std_msgs/msg/Header', stamp=to_time(stamp), frame_id=frame_id)


def joint_state(stamp: int, names: Sequence[str], positions: Array) -> Any:
    """Return a sensor_msgs/JointState with positions only; stamp in ns."""
    none = np.empty(0, dtype=np.float64)
    return make(
        'sensor_msgs/msg/JointState',
        header=header(stamp), name=list(names), position=positions, velocity=none, effort=none,
    )  # fmt: skip


def jpeg_image(stamp: int, frame_id: str, jpeg: bytes) -> Any:
    """Return a sensor_msgs/CompressedImage with image_transport's format string; stamp in ns."""
    return make(
        'sensor_msgs/msg/CompressedImage',
        header=header(stamp, frame_id), format='bgr8; jpeg compressed bgr8',
        data=np.frombuffer(jpeg, dtype=np.uint8),
    )  # fmt: skip
