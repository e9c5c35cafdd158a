# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Findings of `viva doctor`, and the names that a missing name may have been meant for."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from viva_ros.core.errors import InputError
from viva_ros.core.normalize import match_joints
from viva_ros.engine.api import EngineInfo

OK: Final = 'ok'
WARN: Final = 'warn'
ERROR: Final = 'error'
TRANSPORT: Final = re.compile(r'/(compressed|raw|ffmpeg|foxglove)$')
SHORTEST: Final = 3  # letters of a shortened word
WORD: Final = re.compile(r'[a-z]+|[0-9]+')


@dataclass(frozen=True)
class Finding:
    """
    One line of the report.

    :param remedy: a command or an instruction; empty without a fault
    """

    level: str
    subject: str
    text: str
    remedy: str = ''


def like_names(wanted: str, existing: Iterable[str]) -> list[str]:
    """
    Return the names that differ from a name only by spelling, transport or the parts before it.

    Case, separators and a transport behind the last '/' do not count: '/cam_high/image_raw' is
    like '/robot/CamHigh/image_raw/compressed'. Words may be shortened: 'cam' is like 'camera'.
    """
    own = _words(wanted)
    return [name for name in existing if name != wanted and _are_like(own, _words(name))]


def _words(name: str) -> list[str]:
    split = re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', TRANSPORT.sub('', name))
    return WORD.findall(split.lower())


def _are_like(one: Sequence[str], other: Sequence[str]) -> bool:
    short, long = sorted((one, other), key=len)
    if not short or ''.join(one) == ''.join(other):
        return bool(short)
    pairs = zip(short, long[-len(short) :], strict=True)
    return all(a == b or _is_shortened(a, b) for a, b in pairs)


def _is_shortened(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= SHORTEST and long.startswith(short)


def like_text(wanted: Iterable[str], existing: Sequence[str]) -> str:
    """Return a text on the names that are like the wanted ones; '' without any."""
    found = dict.fromkeys(name for one in wanted for name in like_names(one, existing))
    return (
        f'there is {", ".join(found)}: if it is meant, name it in the robot file' if found else ''
    )


def engine_joints(info: EngineInfo, joints: Iterable[str]) -> Finding:
    """Return whether the joints of a robot file, or of its messages, are all of an engine."""
    names = list(joints)
    try:
        match_joints(dict.fromkeys(names, 0.0), info.joint_names, 'robot')
    except InputError as error:
        missing = [name for name in info.joint_names if name not in names]
        remedy = like_text(missing, names) or 'correct "joints" of the robot file'
        return Finding(ERROR, 'engine joints', str(error), remedy)
    return Finding(OK, 'engine joints', f'all {len(info.joint_names)} are there')
