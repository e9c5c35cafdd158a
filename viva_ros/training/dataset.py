# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training samples: moments of an episode, pre-processed as on a robot."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.observation import Array
from viva_ros.core.returns import attempt_returns
from viva_ros.data.camera_check import CameraCheck, PictureRules
from viva_ros.data.episode import ATTEMPT_TIME, RETRY_TIME, Episode, Joints, Label
from viva_ros.data.images import Pictures
from viva_ros.engine.preprocessing import letterbox


class Sampling(NamedTuple):
    """
    Number of samples of a channel, and the median time from one to the next.

    :param period: ns; 0 with fewer than two samples
    """

    samples: int
    period: float

    @classmethod
    def of(cls, stamps: NDArray[np.int64]) -> 'Sampling':
        """Return the sampling of stamps, (N,), ns."""
        return cls(len(stamps), float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0.0)


VERDICT: Final = ('task', 'success', 'times', 'identities')  # of a label, for its outcomes


class EpisodeLength(NamedTuple):
    """
    Label and length of an episode.

    :param label: what VERDICT names of a label, see ``Data``
    :param seconds: from the first to the last joint state
    """

    label: Mapping[str, Any]
    moments: int
    seconds: float

    @property
    def task(self) -> str:
        """Return the task; empty without a label."""
        return str(self.label.get('task', ''))

    @classmethod
    def of(cls, episode: Episode, camera: str, every: int) -> 'EpisodeLength':
        """
        Return the length of a labelled episode.

        :param camera: whose frames are the moments
        :param every: stride of the frames
        """
        frames, joints = len(episode.cameras[camera].stamps), episode.joints.stamps
        seconds = 1e-9 * float(joints[-1] - joints[0]) if len(joints) else 0.0
        label = {} if episode.label is None else asdict(episode.label)
        return cls.labelled(
            {**label, 'identities': sorted(episode.identities)}, len(range(0, frames, every)),
            seconds,
        )  # fmt: skip

    @classmethod
    def labelled(
        cls, label: Mapping[str, Any], moments: int, seconds: float
    ) -> 'EpisodeLength':  # fmt: skip
        """Return a length with what the verdict on a training needs of a label."""
        return cls({key: label[key] for key in VERDICT if key in label}, moments, seconds)


@dataclass(frozen=True)
class EpisodeChannels:
    """
    Cameras and joints of an episode, for JSON.

    :param name: of the episode
    :param cameras: sampling of the frames by camera, in the order of the episode
    :param joint_states: sampling of the joint states
    """

    name: str
    cameras: dict[str, Sampling]
    joint_names: tuple[str, ...]
    joint_states: Sampling

    @classmethod
    def of(cls, episode: Episode) -> 'EpisodeChannels':
        """Return the channels of an episode."""
        cameras = {name: Sampling.of(frames.stamps) for name, frames in episode.cameras.items()}
        joints = episode.joints
        return cls(episode.name, cameras, tuple(joints.names), Sampling.of(joints.stamps))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> 'EpisodeChannels':
        """Read the fields, as JSON returns them."""
        cameras = {name: Sampling(*sampling) for name, sampling in content['cameras'].items()}
        joint_names, joint_states = tuple(content['joint_names']), content['joint_states']
        return cls(content['name'], cameras, joint_names, Sampling(*joint_states))


@dataclass(frozen=True)
class Moments:
    """
    N moments of one episode.

    :param stamps: (N,) int64, ns
    :param images: (N, V, H, W, 3) uint8, letterboxed
    :param proprio: (N, J), rad or m
    :param future: (N, J), rad or m, one horizon later; near the end the last joint state
    :param returned: return G, (N,)
    :param failed: whether the attempt of the moment fails, (N,)
    :param joint_stamps: of all joint states, (M,) int64, ns
    :param joints: of all joint states, (M, J), rad or m
    """

    stamps: NDArray[np.int64]
    images: NDArray[np.uint8]
    proprio: NDArray[np.floating]
    future: NDArray[np.floating]
    returned: Array
    failed: NDArray[np.bool_]
    joint_stamps: NDArray[np.int64]
    joints: Array


def nearest(stamps: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """
    Return the index of the stamp nearest to each wanted one; of two equally near, the earlier.

    :param stamps: (N,), ascending, N >= 1, ns
    :param wanted: (M,), ns
    :returns: (M,)
    """
    after = np.clip(np.searchsorted(stamps, wanted), 1, max(len(stamps) - 1, 1))
    after = np.minimum(after, len(stamps) - 1)
    before = np.maximum(after - 1, 0)
    closer = np.abs(stamps[before] - wanted) <= np.abs(stamps[after] - wanted)
    return np.where(closer, before, after)


def cut(
    episode: Episode, cameras: Sequence[str], joint_names: Sequence[str],
    size: tuple[int, int], horizon: float, every: int = 1,
    rules: PictureRules | None = None,
) -> Moments:  # fmt: skip
    """
    Return a moment for each frame of the first camera, with the nearest frames and joint states.

    :param size: (height, width) of the images, px
    :param horizon: of the forecast, s
    :param every: stride of the frames
    :param rules: of images, by which a frozen or covered camera is refused; None for no check
    :raises RecordingError: if the episode has no label, lacks a camera or joint, or if a camera is
        frozen, or none of its images is plausible
    """
    if episode.label is None:
        raise RecordingError(
            'episode-outcome-missing', f'{episode.name} has no outcome: label it, or leave it out'
        )
    missing = [name for name in cameras if name not in episode.cameras]
    missing += [name for name in joint_names if name not in episode.joints.names]
    if missing:
        raise RecordingError(
            'episode-channel-missing', f'{episode.name} lacks {", ".join(missing)}: leave it out'
        )
    all_stamps = episode.cameras[cameras[0]].stamps
    stamps = all_stamps[::every]
    images = np.empty((len(stamps), len(cameras), *size, 3), dtype=np.uint8)
    track = episode.joints.stamps
    positions = joints_at(track, episode.joints.positions, stamps, 0.0)
    for view, camera in enumerate(cameras):
        frames = episode.cameras[camera]
        sources = frames.images
        if isinstance(sources, Pictures):  # decoded at a reduced size, as on a robot
            sources = sources.fitting(size)
        check = CameraCheck(camera, frames, episode.joints.names, positions, rules)
        rows = nearest(frames.stamps, stamps).tolist()
        for at, row in enumerate(rows):
            if at and row == rows[at - 1]:
                images[at, view] = images[at - 1, view]
            else:
                images[at, view] = letterbox(check.read(sources, row, at), size)
        check.finish()
    joints = _joints(episode.joints, joint_names)
    proprio, future = (joints_at(track, joints, stamps, later) for later in (0.0, horizon))
    returned, failed = labels_of(all_stamps, episode.label)
    return Moments(
        stamps, images, proprio, future, returned[::every], failed[::every], track, joints
    )  # fmt: skip


def labels_of(stamps: NDArray[np.int64], label: Label) -> tuple[Array, NDArray[np.bool_]]:
    """
    Return the return of each frame, and whether its attempt fails, from the times of the label.

    :param stamps: of all frames of an episode, (N,), ns
    :returns: as ``core.returns.attempt_returns``
    :raises RecordingError: if the times of the label are not within the episode
    """
    times = [label.times.get(name, 0.0) for name in (RETRY_TIME, ATTEMPT_TIME)]
    retry, attempt = np.searchsorted(stamps, [int(stamps[0]) + round(at * 1e9) for at in times])
    try:
        return attempt_returns(len(stamps), label.success, int(retry), int(attempt))
    except ValueError as error:
        raise RecordingError(
            'label-attempt-range',
            f'the label has retry at {times[0]:g} s and attempt at {times[1]:g} s, must be '
            f'ascending and within the {(stamps[-1] - stamps[0]) * 1e-9:.2f} s of the episode: '
            'leave the recording out, or record it again',
        ) from error


def joints_at(
    joint_stamps: NDArray[np.int64], joints: NDArray[np.floating], stamps: NDArray[np.int64],
    later: float,
) -> NDArray[np.floating]:  # fmt: skip
    """
    Return the joint positions nearest in time to moments plus an offset; after the end, the last.

    :param joint_stamps: (M,), ns
    :param joints: (M, J)
    :param stamps: (N,), ns
    :param later: offset, s
    :returns: (N, J)
    """
    return joints[nearest(joint_stamps, stamps + round(later * 1e9))]


def _joints(joints: Joints, names: Sequence[str]) -> Array:
    return joints.positions[:, [joints.names.index(name) for name in names]]


@dataclass(frozen=True)
class JointTrack:
    """Joint states of one episode: stamps (M,) int64 ns, positions (M, J), rad or m."""

    stamps: NDArray[np.int64]
    joints: NDArray[np.float32]


@dataclass(frozen=True)
class Data:
    """
    All moments of a set of recordings, in order of episode and time.

    :param images: (N, V, H, W, 3) uint8, on disk
    :param proprio: (N, J), rad or m
    :param future: one horizon later, (N, J), rad or m
    :param returned: return G, (N,)
    :param failed: whether the attempt of the moment fails, (N,)
    :param stamps: (N,) int64, ns
    :param episode: index of the episode of each moment, (N,)
    :param labels: of each episode: name, identities, task, success, failure, seed, times
    :param tracks: joint states of each episode
    """

    images: NDArray[np.uint8]
    proprio: NDArray[np.float32]
    future: NDArray[np.float32]
    returned: NDArray[np.float32]
    failed: NDArray[np.bool_]
    stamps: NDArray[np.int64]
    episode: NDArray[np.int64]
    labels: list[dict[str, Any]]
    tracks: list[JointTrack]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks of all episodes, sorted."""
        return tuple(sorted({label['task'] for label in self.labels}))

    @property
    def success(self) -> NDArray[np.bool_]:
        """Whether the attempt of each moment succeeds, (N,)."""
        return ~self.failed

    @property
    def digest(self) -> str:
        """
        Digest of what is learnt from these moments, 16 hex digits.

        Of the images, it has those of the first and the last moment of each episode.
        """
        columns = (self.episode, self.task_index(self.tasks), self.proprio, self.future,
                   self.returned, self.failed)  # fmt: skip
        digest = hashlib.sha256(json.dumps(self.tasks).encode())
        for column in columns:
            digest.update(np.ascontiguousarray(column).tobytes())
        for number in range(len(self.labels)):
            rows = self.rows_of(number)
            digest.update(self.images[np.array([rows.start, rows.stop - 1])].tobytes())
        return digest.hexdigest()[:16]

    def task_index(self, tasks: Sequence[str]) -> NDArray[np.int64]:
        """Return the index of each moment's task in ``tasks``, (N,)."""
        places = np.array([tasks.index(label['task']) for label in self.labels], dtype=np.int64)
        return places[self.episode]

    def ahead(self, horizon: float) -> 'Data':
        """Return the same moments with ``future`` at another horizon, s."""
        futures = [
            joints_at(track.stamps, track.joints, self.stamps[self.rows_of(index)], horizon)
            for index, track in enumerate(self.tracks)
        ]
        return replace(self, future=np.concatenate(futures))

    def rows_of(self, episode: int) -> slice:
        """Return the rows of one episode."""
        begin, end = np.searchsorted(self.episode, (episode, episode + 1))
        return slice(int(begin), int(end))

    def rows_ahead(self, horizon: float) -> NDArray[np.int64]:
        """Return the row of the moment nearest to ``horizon`` s after each moment, (N,)."""
        rows = np.empty(len(self.stamps), dtype=np.int64)
        for index in range(len(self.labels)):
            mine = self.rows_of(index)
            stamps = self.stamps[mine]
            rows[mine] = mine.start + nearest(stamps, stamps + round(horizon * 1e9))
        return rows

    def balance(self) -> Array:
        """Return a sampling weight for each moment; all tasks have the same total, (N,)."""
        return task_weights(self.task_index(self.tasks))


def task_weights(task: NDArray[np.int64]) -> Array:
    """Return a sampling weight for each moment; all tasks have the same total: (N,) to (N,)."""
    weights: Array = 1.0 / np.bincount(task)[task]
    return weights
