# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Layouts of HDF5 episodes: ALOHA and ACT, Cobot Magic, RoboMIND, and robomimic.

A file is one episode, or has one in each group of ``data``, as robomimic writes it. Cameras are
found by the shape of their datasets. Joints are named only if their dataset has names: they are
never made up. Nothing but attributes and shapes is read.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import RecordingError
from viva_ros.core.foreign_text import shown, shown_list
from viva_ros.core.input_limits import EPISODE_LIMIT, MEMBER_LIMIT
from viva_ros.core.json_reader import parse_json
from viva_ros.data.row_times import TIME_WORDS, words

EPISODES: Final = 'data'  # group with one group for each episode
PARTS: Final = ('obs', 'actions', 'action', 'observations')  # of the group of an episode
STATES: Final = ('observations/qpos', 'puppet/joint_position')  # of which the rows are counted
#: Last parts of the paths of joint positions, in whole words.
STATE_NAME: Final = re.compile(
    r'(?:^|_)(?:qpos|joint_pos|joint_positions?|joint_states?|joint_angles?|joints|state)(?:_|$)'
)
ACTIONS: Final = ('action', 'actions')
TIMESTAMPS: Final = tuple(
    f'{group}{name}' for group in ('', 'observations/', 'obs/')
    for name in ('timestamp', 'timestamps')
)  # fmt: skip
NAMES: Final = ('names', 'joint_names')  # attributes with the names of columns
RATES: Final = ('fps', 'frequency', 'control_freq')  # attributes, Hz
ROW_LIMIT: Final = 10_000_000  # rows of an episode: a day at 100 Hz
SUCCESSES: Final = ('success', 'is_success')
TASKS: Final = ('task', 'language_instruction', 'language_raw')
LENGTH: Final = 'num_samples'  # attribute of an episode of robomimic
PADDING: Final = 'compress_len'  # lengths of padded images
NEXT: Final = 'next_obs'  # group with the observations of the next row
PICTURE_WORDS: Final = frozenset({
    'image', 'images', 'img', 'imgs', 'rgb', 'color', 'colour', 'cam', 'camera', 'cameras'
})  # fmt: skip
#: Words in the paths of pictures that are no colour images.
NO_PICTURE: Final = frozenset({
    'disparity', 'flow', 'instance', 'label', 'labels', 'mask', 'masks', 'normal', 'normals',
    'seg', 'segmentation', 'segmentations', 'segmented', 'semantic', 'semantics',
})  # fmt: skip
#: Words in the paths of numbers that are no joint positions.
NO_STATE: Final = frozenset({
    'acc', 'acceleration', 'action', 'actions', 'base', 'cartesian', 'cmd', 'command', 'commands',
    'cos', 'current', 'currents', 'desired', 'done', 'dones', 'ee', 'eef', 'effort', 'efforts',
    'force', 'forces', 'goal', 'imu', 'index', 'leader', 'length', 'master', 'next', 'object',
    'objects', 'pose', 'qvel', 'reward', 'rewards', 'sin', 'states', 'success', 'target', 'tcp',
    'torque', 'torques', 'vel', 'velocities', 'velocity', 'wrench',
}) | TIME_WORDS  # fmt: skip


@dataclass(frozen=True)
class Hdf5Layout:
    """
    The datasets of one episode, by their paths in its group.

    :param rows: number of rows of the episode
    :param reference: dataset or attribute with this number of rows, for texts
    :param cameras: colour cameras, to whether their images are encoded
    :param others: images that only a map makes cameras, likewise
    :param vectors: numeric datasets with up to three dimensions
    :param names: of the columns of a dataset, as they are recorded
    :param counts: rows of each camera and vector
    :param widths: columns of each vector; of three dimensions, numbers in a row
    :param blocks: vectors with three dimensions, to the last two: (arms, joints)
    :param scalars: datasets with one value
    :param depth: depth maps
    :param clocks: datasets that may have the times of the rows, besides TIMESTAMPS
    :param broken: links and virtual datasets whose data are missing
    :param unwritten: datasets with rows that were never written
    :param files: that have the datasets; others than the own one through links
    :param notes: texts on datasets that are left out
    """

    rows: int
    reference: str
    cameras: Mapping[str, bool]
    others: Mapping[str, bool]
    vectors: Sequence[str]
    names: Mapping[str, Sequence[str]]
    counts: Mapping[str, int]
    widths: Mapping[str, int]
    blocks: Mapping[str, tuple[int, int]]
    scalars: Sequence[str]
    depth: Sequence[str]
    clocks: Sequence[str]
    broken: Sequence[str]
    unwritten: frozenset[str]
    files: frozenset[str]
    notes: tuple[str, ...]

    def joint_names(self, key: str) -> tuple[str, ...]:
        """Return the names of the columns of a dataset; empty if it has none, or some twice."""
        names = tuple(self.names.get(key, ()))
        is_clear = len(set(names)) == self.widths[key] == len(names) and all(names)
        return names if is_clear else ()

    def state(self) -> tuple[str, str]:
        """
        Return the dataset with the joint positions, and a problem with a remedy.

        :returns: the dataset is '' if there is none, or several
        """
        rows = [
            key for key in self.vectors
            if self.counts[key] == self.rows
            and key not in (*TIMESTAMPS, *self.clocks, *self.blocks)
        ]  # fmt: skip
        known = [key for key in self.vectors if is_state(key)]
        if len(known) == 1:
            key = known[0]
            return key, '' if self.joint_names(key) else self._names_problem(key)
        likely = known or [key for key in rows if not words(key) & NO_STATE] or rows
        if not likely:
            return '', 'it has no dataset with joint positions: leave it out'
        sizes = ', '.join(f'{key} ({self.widths[key]})' for key in likely)
        sources = ', '.join(f'{{path: {key}, names: [...]}}' for key in likely)
        reason = 'several datasets are' if known else 'no dataset is known to be'
        return '', (
            f'{reason} joint positions, it has {sizes}: name those of the joints in the map, '
            f'"joints: [{sources}]"'
        )

    def _names_problem(self, key: str) -> str:
        if key in self.blocks:
            arms, joints = self.blocks[key]
            sources = ', '.join(
                f"{{path: {key}, field: 'data[{k * joints}:{(k + 1) * joints}]', names: [...]}}"
                for k in range(arms)
            )
            return (
                f'{key} is rows x {arms} x {joints}: name its numbers in the map, "joints: '
                f'[{sources}]" with {joints} names each'
            )
        count, names = self.widths[key], list(self.names.get(key, ()))
        twice = sorted(name for name, number in Counter(names).items() if number > 1)
        reason = f'has {shown_list(twice, 3)} twice' if twice and len(names) == count else (
            'has an empty name' if not all(names) and len(names) == count
            else f'has {count} columns and {len(names)} names' if names
            else f'has {count} columns without names'
        )  # fmt: skip
        return (
            f'{key} {reason}: name them in the map, "joints: [{{path: {key}, names: [...]}}]" '
            f'with {count} names in their order'
        )


def camera_name(key: str) -> str:
    """Return the name of the camera of a dataset: the last part of its path."""
    return re.sub(r'\W', '_', key.rpartition('/')[2])


def camera_topic(key: str) -> str:
    """Return the topic of the camera of a dataset."""
    return f'/{key.rpartition("/")[0]}/{camera_name(key)}/image_raw'.replace('//', '/')


def is_state(key: str) -> bool:
    """Return whether a path is known to be that of joint positions."""
    last = re.sub(r'[\W\d_]+', '_', key.rpartition('/')[2].lower())
    others = words(last.replace('joint_states', '')) | words(key.rpartition('/')[0])
    return bool(STATE_NAME.search(last)) and not others & NO_STATE


def member(group: Any, name: str) -> Any:
    """Return a member of a group; None if its link leads to nothing."""
    try:
        return group.get(name)
    except (OSError, KeyError):  # a file that is linked is missing
        return None


def episode_groups(file: Any) -> list[str]:
    """
    Return the members of the group of episodes, in order; empty for a file with a single episode.

    A member without data is among them: opening it names the reason.

    :raises RecordingError: if they are more than the limit
    """
    group = member(file, EPISODES)
    if not hasattr(group, 'keys'):
        return []
    if len(group) > EPISODE_LIMIT:
        raise RecordingError(
            'hdf5-episodes',
            f'{file.filename}: group {EPISODES} has {len(group)} members, at most {EPISODE_LIMIT} '
            'episodes of a file are read: divide it into several files, or leave it out',
        )
    is_named = any(re.fullmatch(r'(demo|episode)_\d+', name) for name in group)
    if not is_named and not any(  # opens members
        hasattr(one, 'keys') and any(part in one for part in PARTS)
        for one in (member(group, name) for name in islice(group, MEMBER_LIMIT))
    ):
        return []
    return sorted(group, key=lambda name: [
        (int(part), '') if part.isdigit() else (-1, part) for part in re.split(r'(\d+)', name)
    ])  # fmt: skip


def numbered_groups(file: Any) -> list[str]:
    """Return the members of a file if all are groups with one name and a number, as episodes."""
    if len(file) > EPISODE_LIMIT:  # each would be opened; reading it names the limit
        return []
    found = [re.fullmatch(r'(\D+)\d+', name) for name in file]
    prefixes = {one[1] if one else '' for one in found}
    is_numbered = len(found) > 1 and len(prefixes) == 1 and '' not in prefixes
    return (
        list(file) if is_numbered and all(hasattr(member(file, n), 'keys') for n in file) else []
    )


@dataclass
class _Found:
    cameras: dict[str, bool] = field(default_factory=dict)
    others: dict[str, bool] = field(default_factory=dict)
    vectors: list[str] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    blocks: dict[str, tuple[int, int]] = field(default_factory=dict)
    scalars: list[str] = field(default_factory=list)
    depth: list[str] = field(default_factory=list)
    clocks: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    unwritten: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def add(self, key: str, dataset: Any) -> None:
        """Add a dataset by its path, type and shape."""
        shape, kind = dataset.shape, dataset.dtype.kind
        if key.rpartition('/')[2] == PADDING:
            return
        if not self._has_data(key, dataset):
            return
        is_picture, is_byte = bool(words(key) & PICTURE_WORDS), dataset.dtype == np.uint8
        is_encoded = is_picture and (
            (kind in 'OSV' and len(shape or ()) == 1) or (is_byte and len(shape or ()) == 2)
        )
        is_encoded |= (dataset.dtype.metadata or {}).get('vlen') == np.uint8
        is_whole = shape is None or is_written(dataset)
        if not is_whole:
            self.unwritten.add(key)
        if shape is None:
            self._leave_out(key, 'is empty')
        elif not is_whole and math.prod(shape) == 1:
            self._leave_out(key, 'was never written')
        elif 'depth' in key.lower():
            if shape:
                self.depth.append(key)
                self._leave_out(key, 'is a depth map')
        elif math.prod(shape) == 1 and len(shape) < 2:
            self.scalars.append(key)
            if kind in 'iufb' and shape:  # an episode of one row
                self._vector(key, dataset)
        elif is_encoded or (is_byte and len(shape) == 4 and shape[3] == 3):
            self._camera(key, dataset, is_encoded)
        elif kind in 'iufb' and len(shape) in (1, 2):
            self._vector(key, dataset)
        elif kind in 'iuf' and len(shape) == 3 and not (is_picture or is_byte):
            self._vector(key, dataset)
            self.blocks[key] = (shape[1], shape[2])
            if not is_state(key):
                text = ' x '.join(map(str, shape))
                self._leave_out(key, f'is {text}; name its numbers in a map if it has joints')
        else:
            text = ' x '.join(map(str, shape))
            allowed = (
                'a camera is rows x height x width x 3 of uint8' if is_picture or is_byte
                else 'joint positions are rows x columns of numbers'
            )  # fmt: skip
            self._leave_out(key, f'is {text} of {dataset.dtype}, {allowed}')
            self._clock(key, shape)

    def _has_data(self, key: str, dataset: Any) -> bool:
        """Note the files of a dataset; return False if its data are elsewhere or missing."""
        self.files.add(dataset.file.filename)
        if dataset.external:
            self._leave_out(key, f'has its numbers in {dataset.external[0][0]}')
            return False
        sources = dataset.virtual_sources() if dataset.is_virtual else ()
        folder = Path(dataset.file.filename).parent
        paths = {folder / one.file_name for one in sources if one.file_name != '.'}
        self.files |= set(map(str, paths))
        if not all(path.is_file() for path in paths):  # read as zeros, without an error
            self.broken.append(key)
            return False
        return True

    def _leave_out(self, key: str, reason: str) -> None:
        self.notes.append(f'dataset {key} is left out: it {reason}')

    def _clock(self, key: str, shape: Sequence[int]) -> None:
        is_known = key in TIMESTAMPS and key in self.vectors
        if words(key) & TIME_WORDS and not is_known and key.split('/')[0] != NEXT and shape[0] > 1:
            self.clocks.append(key)

    def _camera(self, key: str, dataset: Any, is_encoded: bool) -> None:
        if key.split('/')[0] == NEXT:
            self._leave_out(key, 'has the images of the next row')
            return
        if words(key) & NO_PICTURE:
            self._leave_out(key, 'has no colour images by its name')
            return
        self.counts[key] = dataset.shape[0]
        if words(key) & PICTURE_WORDS:
            self.cameras[key] = is_encoded
        else:
            self.others[key] = is_encoded
            self._leave_out(key, 'may be no camera; name it in a map if it is one')

    def _vector(self, key: str, dataset: Any) -> None:
        self.vectors.append(key)
        self.counts[key], self.widths[key] = dataset.shape[0], int(np.prod(dataset.shape[1:]))
        names = next((dataset.attrs[name] for name in NAMES if name in dataset.attrs), ())
        self.names[key] = [name.strip() for name in texts_of(names)]
        self._clock(key, dataset.shape)

    def part_equal_cameras(self) -> None:
        """Leave out cameras whose topics would be equal; a map names them by their paths."""
        topics = Counter(map(camera_topic, self.cameras))
        for key in [key for key in self.cameras if topics[camera_topic(key)] > 1]:
            self.others[key] = self.cameras.pop(key)
            self.notes.append(
                f'dataset {key} is left out: two would be camera {camera_name(key)!r}; name it in '
                'a map'
            )


def is_written(dataset: Any) -> bool:
    """
    Return whether all chunks of a dataset were written; HDF5 reads others as zeros.

    A dataset without chunks is known to be unwritten only as a whole.
    """
    if dataset.is_virtual:
        spaces = [one.vspace.get_select_npoints() for one in dataset.virtual_sources()]
        return bool(sum(spaces) >= dataset.size)
    if dataset.chunks is None:
        return bool(not dataset.size or dataset.id.get_storage_size())
    sides = zip(dataset.shape, dataset.chunks, strict=True)
    return bool(dataset.id.get_num_chunks() >= math.prod(-(-side // one) for side, one in sides))


def read_layout(group: Any) -> Hdf5Layout:
    """Return the layout of the episode in a group."""
    found = _Found()
    for key, dataset in _datasets(group):
        if dataset is None:
            found.broken.append(key)
        elif hasattr(dataset, 'keys'):
            found.notes.append(
                f'group {key} is left out: it is a link to a group that is read under another name'
            )
        else:
            found.add(key, dataset)
    found.part_equal_cameras()
    reference, rows = _reference(found, group.attrs)
    return Hdf5Layout(
        rows, reference, found.cameras, found.others, found.vectors, found.names, found.counts,
        found.widths, found.blocks, found.scalars, found.depth, found.clocks, found.broken,
        frozenset(found.unwritten), frozenset(found.files), tuple(found.notes),
    )  # fmt: skip


def _datasets(group: Any) -> Iterator[tuple[str, Any]]:
    """
    Yield the datasets of a group and its subgroups, linked ones too, with their paths.

    Each group is read once, under its name without links if it has one: links may lead back. A
    group that is read already is yielded itself, and a link that leads to nothing as None.

    :raises RecordingError: if they are more than the limit
    """
    owned, left = {group.id}, [MEMBER_LIMIT]
    check_members(group, 'attributes', len(group.attrs))
    for _ in _walk(group, '', owned, lambda one, is_link: not is_link, left):
        pass
    known = {group.id}
    yield from _walk(
        group, '', known, lambda one, is_link: not (is_link and one.id in owned), [MEMBER_LIMIT]
    )


def _walk(
    group: Any, above: str, known: set[Any], is_read: Callable[[Any, bool], bool],
    left: list[int],
) -> Iterator[tuple[str, Any]]:  # fmt: skip
    """
    Yield the datasets of a group and its subgroups.

    :param left: number of members that may be opened yet, the only entry; it is counted down
    """
    left[0] -= len(group)
    if left[0] < 0:
        check_members(group, 'groups and datasets', MEMBER_LIMIT - left[0])
    for name in group:
        one = member(group, name)
        if hasattr(one, 'keys'):
            is_link = hasattr(group.get(name, getlink=True), 'path')
            if one.id in known or not is_read(one, is_link):
                yield f'{above}{name}', one
            else:
                known.add(one.id)
                yield from _walk(one, f'{above}{name}/', known, is_read, left)
        elif one is None or hasattr(one, 'shape'):
            yield f'{above}{name}', one


def check_members(group: Any, kind: str, count: int) -> None:
    """
    Check the number of members of an episode before they are opened.

    :raises RecordingError: if it is above the limit
    """
    if count > MEMBER_LIMIT:
        raise RecordingError(
            'hdf5-members',
            f'{group.file.filename}: an episode has {count} {kind} with those of '
            f'{shown(group.name, 80)}, at most {MEMBER_LIMIT} are read: no robot records so many; '
            'check where the file comes from, and leave it out',
        )


def _reference(found: _Found, attributes: Mapping[str, Any]) -> tuple[str, int]:
    """Return the dataset or attribute that has the number of rows of an episode, and the rows."""
    known = number_of(attributes.get(LENGTH))
    most = max([known or 0, *found.counts.values()])
    if most > ROW_LIMIT:
        raise ValueError(f'an episode has {most:.0f} rows, at most {ROW_LIMIT} are read')
    if known is not None and known == int(known):
        return LENGTH, int(known)
    states = [key for key in found.vectors if key not in STATES and is_state(key)]
    known_first = [key for key in (*STATES, *states, *ACTIONS) if key in found.counts]
    key = next(iter([*known_first, *found.cameras, *found.vectors]), '')
    return key, found.counts.get(key, 0)


def number_of(value: Any) -> float | None:
    """Return an attribute as a number; None if it is none."""
    flat = np.ravel(np.asarray(value)) if value is not None else np.empty(0)
    if flat.size != 1 or flat.dtype.kind not in 'iuf' or not math.isfinite(flat[0]):
        return None
    return float(flat[0])


def texts_of(value: Any) -> list[str]:
    """Return an attribute or a dataset as texts; empty if it is neither a text nor texts."""
    flat = np.ravel(np.asarray(value, dtype=object)).tolist() if value is not None else []
    texts = [one.decode(errors='replace') if isinstance(one, bytes) else one for one in flat]
    return texts if all(isinstance(one, str) for one in texts) else []


def rates_of(holders: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    """
    Return the rates in attributes with their names, Hz: RATES, and that of robomimic's env_args.

    :param holders: attributes of the file and of groups
    """
    found: list[tuple[str, float | None]] = []
    for attributes in holders:
        found += [(name, number_of(attributes.get(name))) for name in RATES]
        environments = texts_of(attributes.get('env_args'))
        found += [('env_args', _environment_rate(text)) for text in environments]
    return [(name, rate) for name, rate in found if rate is not None and rate > 0.0]


def _environment_rate(text: str) -> float | None:
    try:
        return number_of(parse_json(text)['env_kwargs']['control_freq'])
    except (ValueError, KeyError, TypeError):
        return None
