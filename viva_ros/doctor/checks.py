# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `viva doctor` finds without a node: versions, shared memory, engine and calibration."""

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from viva_ros.core.detection.thresholds import calibration_file
from viva_ros.core.detection.thresholds import load as load_calibration
from viva_ros.core.errors import VivaError
from viva_ros.doctor import shared_memory as leftovers
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import named
from viva_ros.engine.resources import engine_folder, shared_folder
from viva_ros.nodes.registry import PROFILE_VARIABLE

OK: Final = 'ok'
WARN: Final = 'warn'
ERROR: Final = 'error'
LIBRARIES: Final = ('numpy', 'opencv-python-headless', 'onnxruntime', 'torch')
ROOM: Final = 16 << 20  # bytes: a smaller segment loses images of 640 x 480
MIB: Final = 1 << 20
FREE: Final = 512 * MIB


@dataclass(frozen=True)
class Finding:
    """
    One line of the report.

    :param remedy: what to do; empty where all is well
    """

    level: str
    subject: str
    text: str
    remedy: str = ''


def versions() -> list[Finding]:
    """Say what is installed, and which domain this shell is on."""
    known = []
    for name in ('viva_ros', 'ros-rclpy', 'ros-fastdds', *LIBRARIES):
        try:
            known.append(f'{name} {version(name)}')
        except PackageNotFoundError:  # an apt ROS, or an extra that is not asked for
            known.append(f'{name} not from pip')
    names = ('ROS_DISTRO', 'RMW_IMPLEMENTATION', 'ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE')
    settings = ', '.join(f'{name}={os.environ.get(name, "(not set)")}' for name in names)
    return [
        Finding(OK, 'versions', f'Python {platform.python_version()}, {", ".join(known)}'),
        Finding(OK, 'domain', settings),
    ]


def shared_memory() -> list[Finding]:
    """Look at the profile of Fast DDS, the room for it, and what dead processes left."""
    dead = leftovers.find()
    size = sum(one.size for one in dead) / MIB
    found = [_profile(), _room()]
    if dead:
        text = f'{len(dead)} segments of dead processes hold {size:.0f} MiB in /dev/shm'
        found.append(Finding(WARN, 'shared memory', text, 'viva doctor --clean'))
    else:
        found.append(Finding(OK, 'shared memory', 'no segments of dead processes'))
    return found


def engine(given: str, task: str) -> tuple[list[Finding], tuple[str, ...]]:
    """
    Load the engine, and the thresholds that belong to it.

    :returns: findings, and the engine's cameras
    """
    try:
        folder = engine_folder(given, task)
        loaded = load(folder, task)
    except VivaError as error:
        return [Finding(ERROR, 'engine', str(error), 'viva export, or --engine FOLDER')], ()
    info = loaded.info
    loaded.close()
    text = f'{folder}: {info.fingerprint} ({info.kind}) for {", ".join(info.tasks)}'
    return [Finding(OK, 'engine', text), _calibration(folder, task)], info.cameras


def _calibration(folder: Path, task: str) -> Finding:
    path = calibration_file(folder, task)
    try:
        calibration = load_calibration(path)
        calibration.check(named(folder) or calibration.engine, task, calibration.rules)
    except VivaError as error:
        remedy = f'viva calibrate RECORDINGS --engine {folder} --task {task}'
        return Finding(ERROR, 'calibration', str(error), remedy)
    return Finding(OK, 'calibration', f'{path}: {calibration.episodes} successes, '
                   f'alpha {calibration.alpha:g}')  # fmt: skip


def _profile() -> Finding:
    own = shared_folder('config') / 'fastdds_shm.xml'
    remedy = f'export {PROFILE_VARIABLE}={own}'
    path = os.environ.get(PROFILE_VARIABLE, '')
    if not path:
        text = f'{PROFILE_VARIABLE} is not set: of raw 640x480 images most get lost'
        return Finding(WARN, 'segment', text, remedy)
    try:
        tree = ElementTree.parse(path)
    except (OSError, ElementTree.ParseError) as error:
        return Finding(ERROR, 'segment', f'{path} cannot be read ({error})', remedy)
    sizes = [int(e.text or 0) for e in tree.iter() if e.tag.endswith('segment_size')]
    if not sizes or max(sizes) < ROOM:
        held = f'{max(sizes, default=512 << 10) / MIB:.1f} MiB'
        return Finding(WARN, 'segment', f'{path} gives segments of {held}, too few', remedy)
    return Finding(OK, 'segment', f'{path}: {max(sizes) / MIB:.0f} MiB for each process')


def _room() -> Finding:
    try:
        free = shutil.disk_usage('/dev/shm').free
    except OSError as error:
        return Finding(WARN, 'shared memory', f'/dev/shm cannot be read ({error})', 'mount it')
    if free < FREE:
        text = f'/dev/shm has {free / MIB:.0f} MiB free, less than {FREE / MIB:.0f}'
        remedy = 'viva doctor --clean; of a container, --shm-size'
        return Finding(WARN, 'shared memory', text, remedy)
    return Finding(OK, 'shared memory', f'/dev/shm has {free / MIB:.0f} MiB free')
