# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Point cloud of the gripper trajectories, each point with the value at its time.

Each estimate is stored with its joint positions: points are computed only for a subscriber, and
are those of the stamp of the estimate.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Array
from viva_ros.core.settings import setting
from viva_ros.core.urdf import Chain, RobotDescription

#: Fields of a point, all float32.
FIELDS: Final = ('x', 'y', 'z', 'value', 'progress', 'success', 'familiarity')
POINT_STEP: Final = 4 * len(FIELDS)  # bytes
KEPT: Final = 6000  # estimates at most: 10 minutes at 10 Hz
BATCH: Final = 500  # estimates whose points are computed at once: 10 ms
Channels = tuple[float, float, float, float]


@dataclass(frozen=True)
class CloudSettings:
    """The point cloud of values."""

    frames: tuple[str, ...] = setting(
        ('left_gripper_link', 'right_gripper_link'),
        'Links of robot_description whose trajectory is drawn; empty: an empty cloud.',
    )
    fixed_frame: str = setting('base_link', 'Link that the points are relative to.')
    span: float = setting(120.0, 'Age of the oldest point, s.', above=0.0, at_most=3600.0)
    episode_only: bool = setting(True, 'Draw only the present episode.')


@dataclass
class CloudSample:
    """
    One estimate.

    :param stamp: ns
    :param positions: of the trail's joints, (J,), rad or m
    :param channels: value, progress, success, familiarity; NaN if unknown
    :param points: computed points, one row a frame, (F, 7); None before
    """

    stamp: int
    positions: Array
    channels: Channels
    points: Array | None = None


class Trail:
    """
    The estimates of the last ``span`` seconds, and their points.

    :ivar faults: frame to the reason why it has no points
    """

    def __init__(self, settings: CloudSettings) -> None:
        self.faults: dict[str, str] = {}
        self._settings = settings
        self._robot: RobotDescription | None = None
        self._chains: list[Chain] = []
        self._joints: tuple[str, ...] = ()
        self._episode = ''
        self._samples: deque[CloudSample] = deque(maxlen=KEPT)

    def add(
        self, stamp: int, episode: str, joints: Mapping[str, float], channels: Channels
    ) -> None:
        """
        Add an estimate; drop those that are older than the span.

        A stamp before the newest begins a new trail. With ``episode_only`` another episode does
        too, and estimates between episodes are ignored.

        :param stamp: ns
        :param joints: name to position, rad or m; the same names each time
        """
        newest = self._samples[-1].stamp if self._samples else stamp
        another = self._settings.episode_only and episode != self._episode
        if another and not episode and stamp >= newest:
            return
        if stamp < newest or another:
            self._samples.clear()
        self._episode = episode
        if tuple(joints) != self._joints:
            self._samples.clear()
            self._joints = tuple(joints)
            self._find_chains()
        positions = np.fromiter(joints.values(), float, len(joints))
        self._samples.append(CloudSample(stamp, positions, channels))
        while self._samples[0].stamp < stamp - round(self._settings.span * 1e9):
            self._samples.popleft()

    def describe(self, robot: RobotDescription | None) -> None:
        """Set the robot description (None: there is none); all points are computed again."""
        self._robot = robot
        self._find_chains()

    def points(self) -> Array:
        """
        Return all points, oldest first; frames with a fault are left out.

        A call computes at most ``BATCH`` new estimates, the newest first.

        :returns: (N, 7) as ``FIELDS``
        """
        new = [sample for sample in self._samples if sample.points is None][-BATCH:]
        if new:
            positions = np.array([sample.positions for sample in new])
            by_name = dict(zip(self._joints, positions.T, strict=True))
            channels = np.array([sample.channels for sample in new])
            rows = np.empty((len(new), len(self._chains), len(FIELDS)))
            rows[:, :, 3:] = channels[:, None]
            for number, chain in enumerate(self._chains):
                rows[:, number, :3] = chain.points(by_name)
            for sample, points in zip(new, rows, strict=True):
                sample.points = points
        found = [sample.points for sample in self._samples if sample.points is not None]
        return np.concatenate([np.empty((0, len(FIELDS))), *found])

    def _find_chains(self) -> None:
        self.faults, self._chains = {}, []
        for sample in self._samples:
            sample.points = None
        if self._robot is None:
            return
        for frame in filter(None, self._settings.frames):
            try:
                self._chains.append(self._chain(self._robot, frame))
            except InputError as error:
                self.faults[frame] = str(error)

    def _chain(self, robot: RobotDescription, frame: str) -> Chain:
        base = self._settings.fixed_frame
        chain = robot.chain(base, frame)
        missing = [joint for joint in chain.joints if joint not in self._joints]
        if missing and self._joints:
            raise InputError(
                'cloud-joint-unknown',
                f'joint {missing[0]!r} between {base!r} and {frame!r} is not among the joints of '
                'the engine: set cloud.fixed_frame to a link beyond it',
            )
        return chain


def pack(points: Array) -> bytes:
    """
    Return points as the data of a PointCloud2, little endian.

    :param points: (N, 7)
    """
    return points.astype('<f4').tobytes()
