# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Layouts of HDF5 episodes: ALOHA and ACT, Cobot Magic, RoboMIND, and robomimic.

A file is one episode, or has one in each group of ``data``, as robomimic writes it. Cameras are
found by the shape of their datasets. Joints are named only if their dataset has names: they are
never made up. Nothing but attributes and shapes is read.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

EPISODES: Final = 'data'  # group with one group for each episode
PARTS: Final = ('obs', 'actions', 'action', 'observations')  # of the group of an episode
STATES: Final = (
    'observations/qpos', 'puppet/joint_position', 'obs/joint_states', 'obs/robot0_joint_pos',
)  # fmt: skip
ACTIONS: Final = ('action', 'actions')
TIMESTAMPS: Final = tuple(
    f'{group}{name}' for group in ('', 'observations/', 'obs/')
    for name in ('timestamp', 'timestamps')
)  # fmt: skip
NAMES: Final = ('names', 'joint_names')  # attributes with the names of columns
RATES: Final = ('fps', 'frequency', 'control_freq')  # attributes, Hz
SUCCESSES: Final = ('success', 'is_success')
TASKS: Final = ('task', 'language_instruction', 'language_raw')
LENGTH: Final = 'num_samples'  # attribute of an episode of robomimic
PADDING: Final = 'compress_len'  # lengths of padded images
NEXT: Final = 'next_obs'  # group with the observations of the next row
PICTURE_WORDS: Final = frozenset({
    'image', 'images', 'img', 'imgs', 'rgb', 'color', 'colour', 'cam', 'camera', 'cameras'
})  # fmt: skip
#: Words in the paths of numbers that are no joint positions.
NO_STATE: Final = frozenset({
    'action', 'actions', 'base', 'done', 'dones', 'effort', 'index', 'length', 'master', 'next',
    'qvel', 'reward', 'rewards', 'states', 'success', 'time', 'timestamp', 'timestamps', 'vel',
    'velocity',
})  # fmt: skip


@dataclass(frozen=True)
class Hdf5Layout:
    """
    The datasets of one episode, by their paths in its group.

    :param rows: number of rows of the episode
    :param reference: dataset or attribute with this number of rows, for texts
    :param cameras: colour cameras, to whether their images are encoded
    :param vectors: numeric datasets with one or two dimensions
    :param names: of the columns of a dataset, as they are recorded
    :param counts: rows of each camera and vector
    :param widths: columns of each vector
    :param scalars: datasets with one value
    :param depth: depth maps
    :param notes: texts on datasets that are left out
    """

    rows: int
    reference: str
    cameras: Mapping[str, bool]
    vectors: Sequence[str]
    names: Mapping[str, Sequence[str]]
    counts: Mapping[str, int]
    widths: Mapping[str, int]
    scalars: Sequence[str]
    depth: Sequence[str]
    notes: tuple[str, ...]

    def joint_names(self, key: str) -> tuple[str, ...]:
        """Return the names of the columns of a dataset; empty if it has none, or some twice."""
        names = tuple(self.names.get(key, ()))
        return names if len(set(names)) == self.widths[key] == len(names) else ()

    def state(self) -> tuple[str, str]:
        """
        Return the dataset with the joint positions, and a problem with a remedy.

        :returns: the dataset is '' if there is none, or several
        """
        found = [key for key in self.vectors if not words(key) & NO_STATE and self.counts[key]
                 == self.rows and key not in TIMESTAMPS]  # fmt: skip
        known = [key for key in STATES if key in found] or found
        if len(known) == 1 or (known and known[0] in STATES):
            key = known[0]
            return key, '' if self.joint_names(key) else self._names_problem(key)
        if not known:
            return '', 'it has no dataset with joint positions: leave it out'
        sizes = ', '.join(f'{key} ({self.widths[key]})' for key in known)
        return '', (
            f'several datasets may be joint positions, {sizes}: name them in the map, "joints: '
            f'[{{path: {known[0]}, names: [...]}}, ...]"'
        )

    def _names_problem(self, key: str) -> str:
        count, names = self.widths[key], list(self.names.get(key, ()))
        twice = sorted({name for name in names if names.count(name) > 1})
        reason = f'has {", ".join(twice)} twice' if twice and len(names) == count else (
            f'has {count} columns and {len(names)} names' if names
            else f'has {count} columns without names'
        )  # fmt: skip
        return (
            f'{key} {reason}: name them in the map, "joints: [{{path: {key}, names: [...]}}]" '
            f'with {count} names in their order'
        )


def camera_name(key: str) -> str:
    """Return the name of the camera of a dataset: the last part of its path."""
    return re.sub(r'\W', '_', key.rpartition('/')[2])


def words(key: str) -> frozenset[str]:
    """Return the words of a path, in lower case."""
    return frozenset(re.split(r'[\W_]+', key.lower()))


def episode_groups(file: Any) -> list[str]:
    """Return the groups of the episodes of a file with several, in order; empty for a single."""
    group = file.get(EPISODES)
    if group is None or not hasattr(group, 'keys'):
        return []
    found = [
        name for name in group
        if hasattr(group.get(name), 'keys') and any(part in group[name] for part in PARTS)
    ]  # fmt: skip
    return sorted(found, key=lambda name: [
        (int(part), '') if part.isdigit() else (-1, part) for part in re.split(r'(\d+)', name)
    ])  # fmt: skip


@dataclass
class _Found:
    cameras: dict[str, bool] = field(default_factory=dict)
    vectors: list[str] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    scalars: list[str] = field(default_factory=list)
    depth: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, key: str, dataset: Any) -> None:
        """Add a dataset by its path, type and shape."""
        shape, kind = dataset.shape, dataset.dtype.kind
        is_picture, is_byte = bool(words(key) & PICTURE_WORDS), dataset.dtype == np.uint8
        if shape is None or key.rpartition('/')[2] == PADDING:
            return
        if 'depth' in key.lower():
            if shape:
                self.depth.append(key)
                self.notes.append(f'dataset {key} is left out: it is a depth map')
        elif math.prod(shape) == 1 and len(shape) < 2:
            self.scalars.append(key)
            if kind in 'iufb' and shape:  # an episode of one row
                self._vector(key, dataset)
        elif is_picture and ((kind in 'OSV' and len(shape) == 1) or (is_byte and len(shape) == 2)):
            self._camera(key, dataset, True)
        elif is_byte and len(shape) == 4 and shape[3] == 3:
            self._camera(key, dataset, False)
        elif len(shape) > 2 and (is_picture or is_byte):
            text = ' x '.join(map(str, shape))
            self.notes.append(
                f'dataset {key} is left out: it is {text} of {dataset.dtype}, a camera is rows x '
                'height x width x 3 of uint8'
            )
        elif kind in 'iufb' and len(shape) in (1, 2):
            self._vector(key, dataset)

    def _camera(self, key: str, dataset: Any, is_encoded: bool) -> None:
        if key.split('/')[0] == NEXT:
            self.notes.append(f'dataset {key} is left out: it has the images of the next row')
            return
        self.cameras[key], self.counts[key] = is_encoded, dataset.shape[0]

    def _vector(self, key: str, dataset: Any) -> None:
        self.vectors.append(key)
        self.counts[key], self.widths[key] = dataset.shape[0], int(np.prod(dataset.shape[1:]))
        names = next((dataset.attrs[name] for name in NAMES if name in dataset.attrs), ())
        self.names[key] = texts_of(names)


def read_layout(group: Any) -> Hdf5Layout:
    """Return the layout of the episode in a group."""
    found = _Found()
    for key, dataset in _datasets(group):
        found.add(key, dataset)
    reference, rows = _reference(found, group.attrs)
    return Hdf5Layout(
        rows, reference, found.cameras, found.vectors, found.names, found.counts, found.widths,
        found.scalars, found.depth, tuple(found.notes),
    )  # fmt: skip


def _datasets(group: Any, above: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the datasets of a group and its subgroups; linked groups are left out."""
    for name in group:
        one = group.get(name)
        if hasattr(one, 'keys'):
            if hasattr(group.get(name, getlink=True), 'path'):  # it may lead back
                continue
            yield from _datasets(one, f'{above}{name}/')
        elif hasattr(one, 'shape'):
            yield f'{above}{name}', one


def _reference(found: _Found, attributes: Mapping[str, Any]) -> tuple[str, int]:
    """Return the dataset or attribute that has the number of rows of an episode, and the rows."""
    known = number_of(attributes.get(LENGTH))
    if known is not None and known == int(known):
        return LENGTH, int(known)
    known_first = [key for key in (*STATES, *ACTIONS) if key in found.counts]
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
        return number_of(json.loads(text)['env_kwargs']['control_freq'])
    except (ValueError, KeyError, TypeError):
        return None
