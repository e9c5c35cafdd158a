# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check a robot file against a recording, by the functions of an import."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from viva_ros.core.errors import ConfigurationError, InputError, RecordingError
from viva_ros.data.bag.reader import with_definitions
from viva_ros.data.conversion.map_sources import (
    camera_frames,
    camera_tracks,
    joint_sources,
    read_joints_of,
)
from viva_ros.data.conversion.raw_episode import (
    RawEpisode,
    is_mapped,
    raw_episodes,
    with_row_times,
)
from viva_ros.data.conversion.resample import grid, measure, rate_of
from viva_ros.data.joint_groups import groups_of
from viva_ros.data.open import open_unmapped
from viva_ros.data.recording import JOINT_STATE, SOURCE, Recording
from viva_ros.data.stamps import Stamps, period_of
from viva_ros.doctor.findings import ERROR, OK, WARN, Finding, engine_joints, like_text
from viva_ros.engine.api import EngineInfo
from viva_ros.nodes.robot_topics import check_cameras
from viva_ros.robot.topic_map import CameraSource, JointSource, TopicMap, load_map

REFUSALS: Final = (RecordingError, ConfigurationError)


@dataclass
class _Usable:
    """Sources of a robot file that a recording has."""

    cameras: dict[str, CameraSource] = field(default_factory=dict)
    joints: list[JointSource] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def check_recording(path: Path, file: Path, info: EngineInfo | None = None) -> list[Finding]:
    """
    Return what an import of a recording would use, and why it would refuse it.

    :param path: of a recording, from ``open.find``
    :param file: that describes the robot
    :param info: of an engine whose cameras and joints must be there; None for none
    """
    try:
        robot = load_map(file)
        recording = with_definitions(open_unmapped(path), robot.definitions)
        recording = with_row_times(recording, robot)
    except REFUSALS as error:
        return [Finding(ERROR, 'recording', str(error))]
    usable = _Usable()
    found = [Finding(WARN, 'robot file', f'{file}: {text}') for text in robot.notes]
    found += _cameras(recording, robot, usable) + _joints(recording, robot, usable)
    is_complete = all(one.level != ERROR for one in found)
    found += _episodes(recording, robot, usable, is_complete)
    return found + (_engine(file, robot, info, usable) if info is not None else [])


def _topics(recording: Recording) -> list[str]:
    """Return the topics of a bag, or the features of a dataset."""
    features: Mapping[str, str] = recording.metadata.get(SOURCE, {}).get('topics', {})
    return sorted(features or recording.tracks)


def _cameras(recording: Recording, robot: TopicMap, usable: _Usable) -> list[Finding]:
    found = []
    try:
        sources = robot.cameras or {
            name: source for name, (_, source) in camera_tracks(recording, robot).items()
        }
    except RecordingError as error:
        return [Finding(ERROR, 'cameras', str(error))]
    for name, source in sources.items():
        subject = f'camera {name}'
        try:
            alone = replace(robot, cameras={name: source})
            track, own = camera_tracks(recording, alone)[name]
            frames = camera_frames(recording, track, own, robot)
        except REFUSALS as error:
            remedy = like_text([source.topic], _topics(recording)) if \
                error.code == 'topic-missing' else ''  # fmt: skip
            found.append(Finding(ERROR, subject, str(error), remedy))
            continue
        usable.cameras[name] = source
        if frames.lost and not frames.stamps.size:
            found.append(Finding(ERROR, subject, f'{track.topic}: {frames.lost}'))
            continue
        if not frames.stamps.size:
            found.append(Finding(ERROR, subject, f'{track.topic} has no messages', 'record it'))
            continue
        try:
            height, width = frames.images[0].shape[:2]
        except InputError as error:
            found.append(Finding(ERROR, subject, f'{track.topic}: {error}'))
        else:
            text = f'{track.topic} ({track.type_name}), {width} x {height} pixels'
            found.append(Finding(OK, subject, f'{text}, {_rate_text(frames.stamps)}'))
    return found


def _joints(recording: Recording, robot: TopicMap, usable: _Usable) -> list[Finding]:
    if not is_mapped(robot):  # joint_states by the conventions of this package
        return []
    found = []
    for source in joint_sources(robot):
        subject = f'joints {source.topic}'
        try:
            readings = read_joints_of(recording, source, robot)
            groups = groups_of(readings.readings, readings.where, SOURCE in recording.metadata)
        except REFUSALS as error:
            remedy = _joint_remedy(recording, source, error.code)
            found.append(Finding(ERROR, subject, str(error), remedy))
            continue
        usable.joints.append(source)
        names = [name for group in groups for name in group.names]
        usable.names += names
        stamps = max((group.stamps for group in groups), key=lambda one: one.size)
        text = f'{_rate_text(stamps)}, {len(names)} joints: {", ".join(names)}'
        found.append(Finding(OK, subject, text))
    return found


def _joint_remedy(recording: Recording, source: JointSource, code: str) -> str:
    """Return the topics, or the joints, that are like those that a source names."""
    if code == 'topic-missing':
        return like_text([source.topic], _topics(recording))
    track = recording.tracks.get(source.topic) or recording.tracks.get(f'/{source.topic}')
    if code != 'joint-missing' or track is None or track.type_name != JOINT_STATE:
        return ''
    there = dict.fromkeys(name for _, message in track.messages() for name in message.name)
    return like_text([name for name in source.names if name not in there], list(there))


def _rate_text(stamps: Stamps) -> str:
    period = period_of(stamps)
    rate = f', {1.0 / period:.1f} Hz' if period > 0.0 else ''
    return f'{stamps.size} messages{rate}'


def _episodes(
    recording: Recording, robot: TopicMap, usable: _Usable, is_complete: bool
) -> list[Finding]:
    """Compare the sources that are there with the limits, as an import does."""
    if not is_complete and not (usable.cameras and usable.joints):
        return []
    if not is_complete:
        robot = replace(robot, cameras=usable.cameras, joints=tuple(usable.joints))
    try:
        episodes = raw_episodes(recording, robot)
    except REFUSALS as error:
        return [Finding(ERROR, 'recording', str(error))]
    if not usable.names:
        usable.names += [n for one in episodes[:1] for group in one.joints for n in group.names]
    return [finding for one in episodes for finding in _episode(one, recording, robot)]


def _episode(episode: RawEpisode, recording: Recording, robot: TopicMap) -> list[Finding]:
    subject, found = f'episode {episode.name}', []
    try:
        moments = grid(episode, rate_of(recording, robot))
    except ConfigurationError as error:
        moments = episode.streams.frame_times
        found.append(Finding(WARN, subject, str(error)))
    figures = measure(episode, moments, robot.limits)
    found += [Finding(ERROR, subject, text) for text in figures.refused]
    found += [Finding(WARN, subject, text) for text in figures.notes]
    if not figures.refused:
        gap = max((one.gap for one in figures.streams.values()), default=0.0)
        text = (
            f'{figures.frames} frames in {figures.duration:.1f} s, largest gap {gap:.3f} s '
            f'(max_gap {robot.limits.max_gap:g}), largest skew {figures.skew:.3f} s '
            f'(max_skew {robot.limits.max_skew:g})'
        )
        found.append(Finding(OK, subject, text))
    return found


def _engine(file: Path, robot: TopicMap, info: EngineInfo, usable: _Usable) -> list[Finding]:
    cameras = replace(robot, cameras=robot.cameras or usable.cameras)
    try:
        check_cameras(file, cameras, info.cameras)
    except ConfigurationError as error:
        remedy = like_text(
            [c for c in info.cameras if c not in cameras.cameras], list(cameras.cameras)
        )
        found = Finding(ERROR, 'engine cameras', str(error), remedy)
    else:
        found = Finding(OK, 'engine cameras', f'{", ".join(info.cameras)} are there')
    return [found, engine_joints(info, usable.names)]
