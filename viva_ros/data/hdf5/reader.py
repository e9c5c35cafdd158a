# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reading HDF5 episodes of ALOHA and ACT, Cobot Magic, RoboMIND and robomimic as recordings.

A file with several episodes is a dataset; the path of an episode is FILE/demo_0, which is not on
disk. Every numeric dataset with a row for each image is a topic under its path in the episode, so
that a map can name the joints. Row i belongs to image i; datasets with different numbers of rows
are refused when they are used.
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Never

import numpy as np

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.foreign_text import shown_list
from viva_ros.core.observation import SECOND
from viva_ros.core.outcome import agreed, outcome, outcome_of_frames
from viva_ros.data.dataset_tracks import FEATURE, ImageTrack, VectorTrack
from viva_ros.data.formats import EpisodeRef, RecordingFormat, content_hash
from viva_ros.data.hdf5 import layout
from viva_ros.data.hdf5.file import (
    DatasetReader,
    Hdf5Images,
    Hdf5Rows,
    is_hdf5,
    read_all,
    reading,
)
from viva_ros.data.images import RAW
from viva_ros.data.recording import (
    COLUMNS,
    DATASET_ACTION,
    DOUBT,
    JOINT_STATE,
    NUMBERS,
    SOURCE,
    Recording,
    Track,
)
from viva_ros.data.row_times import index_times, timestamp_stamps
from viva_ros.data.segmentation import LABEL, TASK

FOLDERS_UP: Final = 4  # the folder of the file, and three above
JOINT_TOPIC: Final = '/joint_states'
#: Last parts of topics of this package, which other datasets must not have.
OWN: Final = frozenset({'alert', 'episode', 'ground_truth', 'joint_states', 'value'})


@dataclass(frozen=True)
class _UnequalTrack(Track):
    """
    A dataset with other rows than the episode, or without some, which is refused when it is used.

    :param reason: code and text of the error
    """

    reason: str = ''

    def messages(self) -> Never:
        """Raise the error."""
        raise RecordingError('hdf5-rows', self.reason)

    def stamps(self) -> Never:
        """Raise the error."""
        raise RecordingError('hdf5-rows', self.reason)

    def pictures(self, rows: Sequence[int]) -> Never:
        """Raise the error."""
        raise RecordingError('hdf5-rows', self.reason)


class Hdf5Columns(Mapping[str, Any]):
    """
    Values of an episode and lists of values of its rows, for a rule of outcomes.

    :param values: of attributes
    :param keys: dataset with one column, or one value, to its path in the file
    """

    def __init__(self, path: Path, values: Mapping[str, Any], keys: Mapping[str, str]) -> None:
        self._path, self._values, self._keys = path, dict(values), dict(keys)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            return self._values[key]
        return plain(DatasetReader(self._path, self._keys[key]).read())

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._keys, *self._values]))

    def __len__(self) -> int:
        return len({*self._keys, *self._values})


def plain(value: Any) -> Any:
    """Return an attribute or the content of a dataset as a value, or a list of values."""
    listed = np.ravel(np.asarray(value)).tolist()
    return listed[0] if len(listed) == 1 else listed


def episode_paths(path: Path) -> list[Path]:
    """
    Return the paths of the episodes of a file: its own if it has one episode.

    It is its own, too, if the file cannot be read: opening it names the reason.
    """
    try:
        names = _names(path)
    except (RecordingError, ConfigurationError, OSError):
        return [path]
    return [path / name for name in names] or [path]


def _index_of(path: Path) -> Mapping[str, int]:
    """Return the names of the episodes of a file, to their place in it."""
    stat = path.stat()
    return _index_in(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _index_in(path: Path, size: int, modified: int) -> Mapping[str, int]:
    return {name: k for k, name in enumerate(_names_in(path, size, modified))}


def _names(path: Path) -> tuple[str, ...]:
    stat = path.stat()
    return _names_in(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _names_in(path: Path, size: int, modified: int) -> tuple[str, ...]:
    with reading(path) as file:
        return tuple(layout.episode_groups(file))


def read_episode(ref: EpisodeRef) -> Recording:
    """
    Read the episode of a reference.

    :raises RecordingError: if the file has no such episode, or cannot be read
    """
    path = ref.dataset or ref.path
    with reading(path) as file:
        name, group = _episode_in(file, ref)
        holders = [group.attrs, file.attrs]
        holders += [file[layout.EPISODES].attrs] if ref.dataset is not None else []
        return _Reader(ref.path, path, name, group, holders).recording()


def _episode_in(file: Any, ref: EpisodeRef) -> tuple[str, Any]:
    """Return the path of the group of an episode in its file, and the group."""
    path = ref.dataset or ref.path
    names = _names(path)
    if ref.dataset is None and names:
        raise RecordingError(
            'hdf5-several',
            f'{path} has {len(names)} episodes, must be one of them, such as {path / names[0]}',
        )
    if ref.dataset is not None and ref.path.name not in _index_of(path):
        raise RecordingError(
            'hdf5-episode',
            f'{path} has no episode {ref.path.name}, it has {", ".join(names[:3]) or "none"}',
        )
    groups = [] if names else layout.numbered_groups(file)
    if groups:
        copy = path.with_name(f'{path.stem}.episodes.hdf5')
        digits = groups[0].rstrip('0123456789')
        code = (
            f'import h5py; a = h5py.File({json.dumps(str(path))}); '
            f'b = h5py.File({json.dumps(str(copy))}, "w"); '
            f'[a.copy(n, b, "data/episode_" + n[{len(digits)}:]) for n in a]'
        )
        raise RecordingError(
            'hdf5-groups',
            f'{path} has the groups {", ".join(groups[:3])}, which are no known form of episodes: '
            f'copy them into a group "data" with {shlex.join(["python3", "-c", code])}',
        )
    name = f'{layout.EPISODES}/{ref.path.name}' if names else ''
    group = layout.member(file, name or '/')
    if not hasattr(group, 'keys'):
        raise RecordingError(
            'hdf5-layout',
            f'{ref.path} has no data: {name} is '
            f'{"a link that leads to nothing" if group is None else "no group"}; leave it out',
        )
    return name, group


class _Reader:
    """Reads the episode in a group of a file."""

    def __init__(
        self, path: Path, file: Path, name: str, group: Any, holders: Sequence[Mapping[str, Any]]
    ) -> None:
        self._path, self._file, self._name = path, file, name
        self._group, self._holders = group, holders
        self._layout = layout.read_layout(group)
        if self._layout.broken:
            raise RecordingError(
                'hdf5-link',
                f'{path}: the data of {", ".join(self._layout.broken)}, a link or a virtual '
                'dataset, are missing: copy the file that it names next to it, or leave it out',
            )
        if not self._layout.rows or not self._layout.counts:
            raise RecordingError(
                'hdf5-layout',
                f'{path} has no episode that is known: it must have rows in '
                f'{", ".join(layout.STATES[:2])} or data/demo_0, it has '
                f'{shown_list(sorted(group), 10) or "nothing"}: leave it out',
            )

    def recording(self) -> Recording:
        one = self._layout
        stamps, untimed = self._timestamps()
        rate, doubt = (None, '') if untimed else self._rate()  # doubt is not replaced
        start = stamps[0] if stamps else SECOND
        times = stamps or (index_times(start, rate, one.rows) if rate else [0] * one.rows)
        state, problem = one.state()
        action = next((key for key in layout.ACTIONS if key in one.vectors), '')
        notes = list(one.notes)
        if action and not one.joint_names(action):
            notes.append(f'dataset {action} is left out: it has no names')
        tracks, topics = {}, {}
        for key, is_encoded in {**one.cameras, **one.others}.items():
            own_topic = key in one.cameras
            topic = topics[key] = layout.camera_topic(key) if own_topic else f'/{FEATURE}{key}'
            images: Any = Hdf5Images(self._dataset(key), one.rows, is_encoded)
            tracks[topic] = self._track(key, ImageTrack(topic, RAW, times, images))
        for key in one.vectors:
            names = one.joint_names(key)
            own = {state: JOINT_TOPIC, action: DATASET_ACTION}.get(key) if names else None
            topic = topics[key] = own or f'/{key}' + '/data' * (key.rpartition('/')[2] in OWN)
            rows: Any = Hdf5Rows(self._dataset(key), one.rows)
            kind = JOINT_STATE if names else NUMBERS
            tracks[topic] = self._track(key, VectorTrack(topic, kind, times, rows, names=names))
        source = {
            'topics': topics, 'start': start, 'fps': rate, 'robot': '', 'problem': problem,
            'depth': list(one.depth), 'stamped': stamps is not None, 'untimed': untimed or doubt,
        }  # fmt: skip
        metadata = {**self._description(), SOURCE: source, COLUMNS: self._columns()}
        return Recording(self._path, tracks, metadata, (), notes=tuple(notes))

    def _dataset(self, key: str) -> DatasetReader:
        return DatasetReader(self._file, self._full(key))

    def _full(self, key: str) -> str:
        return f'/{self._name}/{key}'.replace('//', '/')

    def _track(self, key: str, track: Track) -> Track:
        """Return a track, or one that is refused if its rows are not those of the episode."""
        one = self._layout
        if one.counts[key] == one.rows and key not in one.unwritten:
            return track
        if one.counts[key] == one.rows:
            reason = (
                f'{self._path}: {key} has rows that were never written, which would be read as '
                'zeros: was its recorder stopped? Record it again, or leave it out'
            )
        else:
            reason = (
                f'{self._path}: {key} has {one.counts[key]} rows, {one.reference} {one.rows}: no '
                'row of one can be assigned to a row of the other; record it again, or leave it '
                'out'
            )
        return _UnequalTrack(track.topic, track.type_name, track.times, reason=reason)

    def _timestamps(self) -> tuple[list[int] | None, str]:
        """Return the stamps of the rows, ns, or the reason why they have none; '' if absent."""
        one = self._layout
        known = [key for key in layout.TIMESTAMPS if key in one.vectors]
        if one.clocks:
            named = ' and '.join([*known, *one.clocks])
            return None, f'{named} may have the times, they must be in {layout.TIMESTAMPS[0]} only'
        if not known:
            return None, ''
        if len(known) > 1:
            return None, f'it has the timestamps {" and ".join(known)}'
        (key,) = known
        if (one.counts[key], one.widths[key]) != (one.rows, 1):
            return None, (
                f'{key} has {one.counts[key]} rows of {one.widths[key]}, {one.reference} '
                f'{one.rows}'
            )
        units = [layout.texts_of(self._group[key].attrs.get(name)) for name in ('unit', 'units')]
        unit = next((found[0] for found in units if len(found) == 1), '')
        return timestamp_stamps(key, np.ravel(read_all(self._group, key)), unit)

    def _rate(self) -> tuple[float | None, str]:
        """Return the rate in the attributes, Hz, or the reason why it is unknown."""
        found = layout.rates_of(self._holders)
        rates = {rate for _, rate in found}
        if len(rates) > 1:
            named = ' and '.join(f'{name} {rate:g} Hz' for name, rate in found)
            return None, f'attributes have {named}'
        return next(iter(rates), None), ''

    def _columns(self) -> Hdf5Columns:
        one = self._layout
        single = [key for key in one.vectors if (one.counts[key], one.widths[key]) == (
            one.rows, 1) and key not in one.unwritten]  # fmt: skip
        keys = {key: self._full(key) for key in (*single, *one.scalars)}
        values = {
            name: plain(value) for name, value in self._group.attrs.items() if np.size(value) == 1
        }
        return Hdf5Columns(self._file, values, keys)

    def _values(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the values of attributes and of datasets with one value, by their names."""
        attributes, scalars = self._group.attrs, self._layout.scalars
        found = {f'attribute {n}': plain(attributes[n]) for n in names if n in attributes}
        return found | {
            name: plain(read_all(self._group, name)) for name in names if name in scalars
        }

    def _description(self) -> dict[str, dict[str, Any]]:
        """Return the task and the outcome, as far as the file has them."""
        texts = {
            text.strip() for value in self._values(layout.TASKS).values()
            for text in layout.texts_of(value) if text.strip()
        }  # fmt: skip
        task = texts.pop() if len(texts) == 1 else ''
        found: dict[str, dict[str, Any]] = {TASK: {'task': task, 'tasks': sorted(texts)}}
        success, doubt, known = self._outcome()
        if doubt:
            found[DOUBT] = {'text': doubt, 'known': known}
        elif success is not None:
            found[LABEL] = {'task': task, 'success': success}
        return found

    def _outcome(self) -> tuple[bool | None, str, dict[str, bool]]:
        """Return the outcome, a reason if it is not clear, and that of each source."""
        stated = self._values(layout.SUCCESSES)
        outcomes = {name: outcome(value) for name, value in stated.items()}
        doubts = [f'{n} is {stated[n]!r}' for n, one in outcomes.items() if one is None]
        for name in layout.SUCCESSES:
            if name in self._layout.unwritten:
                doubts.append(f'{name} was not written, or not all of it')
            elif name in self._layout.vectors and name not in self._layout.scalars:
                values = np.asarray(read_all(self._group, name)).tolist()
                outcomes[name], doubt = outcome_of_frames(name, values)
                doubts += [f'{name}: {doubt}'] if doubt else []
        success, conflict = agreed(outcomes)
        doubts += [conflict] if conflict else []
        known = {name: one for name, one in outcomes.items() if one is not None}
        return success, '; '.join(doubts), known


def _list_in(path: Path) -> list[Path] | None:
    return episode_paths(path) if is_hdf5(path) else None


def _resolve(path: Path) -> EpisodeRef | None:
    if is_hdf5(path):
        return EpisodeRef(path, 'hdf5')
    if not is_hdf5(path.parent):
        return None
    try:
        index = _index_of(path.parent).get(path.name, 0)
    except (RecordingError, ConfigurationError, OSError):  # opening it names the reason
        index = 0
    return EpisodeRef(path, 'hdf5', path.parent, index)


def _file(ref: EpisodeRef) -> Path:
    return ref.dataset or ref.path


def _state(ref: EpisodeRef) -> list[Any]:
    """Return content hashes of the other files that an episode is linked to."""
    path = _file(ref)
    try:
        with reading(path) as file:
            linked = layout.read_layout(_episode_in(file, ref)[1]).files - {str(path)}
        return [content_hash(Path(one)) for one in sorted(linked)]
    except (RecordingError, ConfigurationError, OSError):  # opening it names the reason
        return []


FORMAT: Final = RecordingFormat(
    'HDF5 files (*.hdf5, *.h5)', _list_in, _resolve, read_episode, _file, _state,
    folders_up=FOLDERS_UP,
)  # fmt: skip
