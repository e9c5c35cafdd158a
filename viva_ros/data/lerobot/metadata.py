# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Metadata of LeRobot datasets, v2.0 to v3.x, of any tool.

Names of joints are taken as they are written, nested or mapped to indices; they are never made up.
A depth feature is no camera. ``meta/modality.json`` of GR00T names the cameras, and the joints of
a dataset without names.
"""

import operator
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from viva_ros.core.errors import RecordingError
from viva_ros.core.foreign_text import shown
from viva_ros.core.json_reader import parse_json, read_json
from viva_ros.core.regular_file import read_limited
from viva_ros.data.lerobot import layout
from viva_ros.data.lerobot.metadata_types import check_info, check_modality, check_row, check_tasks
from viva_ros.data.lerobot.video import GREY_DEPTH
from viva_ros.data.table_limits import check_table, open_table

READABLE: Final = ('v3.', 'v2.')
READ_ERRORS: Final = (
    OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError,
    pa.ArrowException,
)  # fmt: skip
MODALITY: Final = 'meta/modality.json'
OLD_EPISODES, OLD_STATS = 'meta/episodes.jsonl', 'meta/episodes_stats.jsonl'
#: Files that are being replaced, see ``outcome_writer``.
HIGHEST_FPS: Final = 100_000  # Hz
LINES_LIMIT: Final = 256 << 20  # bytes of a file with one JSON object a line
JOURNAL: Final = 'meta/.viva_outcomes.json'
ACTIONS: Final = (layout.ACTION, 'actions')
STATES: Final = (layout.STATE, 'state')
#: Words in the name of a feature with joint positions.
STATE_WORDS: Final = frozenset((
    'state', 'states', 'joint', 'joints', 'qpos', 'position', 'positions', 'proprio',
))  # fmt: skip
#: Parts of the names of numeric features that are no joint positions.
NO_STATE: Final = ('action', 'next.', 'annotation', 'timestamp', 'velocity', 'effort')


def is_dataset(folder: Path) -> bool:
    """Return whether a folder is a dataset."""
    return (folder / layout.INFO).is_file()


def flat_names(names: object) -> list[str]:
    """
    Return the element names of a feature from any of their forms.

    They are a list, lists in a list, a mapping of a group to a list, of a name to its index, or of
    an index to its name.
    """
    if isinstance(names, Mapping):
        if names and all(type(index) is int for index in names.values()):
            ordered = sorted(names, key=lambda name: names[name])
            exact = [names[name] for name in ordered] == list(range(len(names)))
            return list(map(str, ordered)) if exact else []
        if names and all(str(index).isdecimal() for index in names):
            found = {int(index): name for index, name in names.items()}
            exact = sorted(found) == list(range(len(names)))
            return flat_names([found[k] for k in range(len(found))]) if exact else []
        return [name for part in names.values() for name in flat_names(part)]
    if isinstance(names, list | tuple):
        return [name for part in names for name in flat_names(part)]
    return [names] if isinstance(names, str) else []


def is_depth(key: str, feature: Mapping[str, Any]) -> bool:
    """Return whether an image feature is a depth map."""
    described = {**(feature.get('video_info') or {}), **(feature.get('info') or {})}
    flags = (described.get('is_depth_map'), described.get('video.is_depth_map'))
    shape = [int(side) for side in feature.get('shape') or ()]
    one_channel = len(shape) == 2 or (len(shape) == 3 and 1 in (shape[0], shape[2]))
    grey = GREY_DEPTH.match(str(described.get('video.pix_fmt') or ''))
    named = 'depth' in re.split(r'[\W_]+', key.lower())
    return any(flag is True for flag in flags) or one_channel or bool(grey) or named


#: A field of a path template: a name, and a number of digits as in {chunk_index:03d}.
TEMPLATE_FIELD: Final = re.compile(r'\{([a-z_]+)(?::0?(\d)d)?\}')


def filled(template: str, values: Mapping[str, Any]) -> str:
    """
    Return a path template of ``info.json`` with its values.

    :raises ValueError: if it has anything but names with a number of digits
    :raises KeyError: if a value is not known
    """
    if set('{}') & set(TEMPLATE_FIELD.sub('', template)):
        raise ValueError('only fields such as {episode_index:06d} are filled')

    def value(found: re.Match[str]) -> str:
        name, digits = found.groups()
        return f'{operator.index(values[name]):0{digits}d}' if digits else str(values[name])

    return TEMPLATE_FIELD.sub(value, template)


def confined(root: Path, name: str) -> Path:
    """
    Return a path in a dataset.

    :raises ValueError: if it leads out of it by its parts; links that the owner made may
    """
    place = Path(name)
    if place.is_absolute() or '..' in place.parts or '\0' in name:
        raise ValueError(f'{shown(name)} leads out of the dataset')
    return root / place


@dataclass(frozen=True)
class Dataset:
    """
    The metadata of a dataset on disk.

    :param fps: Hz
    :param cameras: name to feature
    :param rows: of the episode table, in order
    :param tasks: index to text
    :param info: content of ``info.json``
    :param modality: content of ``modality.json``; empty without one
    :param notes: texts on features that are left out
    :param others: image features that are left out, but may be cameras
    """

    root: Path
    version: str
    fps: float
    features: Mapping[str, Any]
    cameras: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]
    tasks: Mapping[int, str]
    info: Mapping[str, Any] = field(default_factory=dict)
    modality: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def color_features(self) -> tuple[str, ...]:
        """Return the image features that are cameras, or that a map may name."""
        return (*self.cameras.values(), *self.others)

    @property
    def old(self) -> bool:
        """Whether each episode has its own files, as in v2."""
        return self.version.startswith('v2')

    @property
    def robot(self) -> str:
        """Return the type of the robot; '' if unknown."""
        return str(self.info.get('robot_type') or '')

    def data_file(self, row: Mapping[str, Any]) -> Path:
        """Return the path of the data of an episode; others may share the file."""
        return self._path('data_path', 'data', row)

    def video_file(self, row: Mapping[str, Any], key: str) -> Path:
        """Return the path of the video of a camera of an episode; others may share the file."""
        return self._path('video_path', f'videos/{key}', row, key)

    def sharing(self, row: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
        """
        Return the rows of the episodes in the video file of an episode.

        :raises RecordingError: if the metadata of v3 lack the file of an episode
        """
        if self.old:
            return [row]
        if key not in self._by_file:
            files: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
            for one in self.rows:
                files.setdefault(self.place(one, key), []).append(one)
            self._by_file[key] = files
        return self._by_file[key][self.place(row, key)]

    @cached_property
    def _by_file(self) -> dict[str, dict[tuple[int, int], list[Mapping[str, Any]]]]:
        return {}

    def has_video(self, row: Mapping[str, Any], key: str) -> bool:
        """Return whether the metadata name the video file of an episode."""
        return self.old or row.get(f'videos/{key}/file_index') is not None

    def place(self, row: Mapping[str, Any], key: str) -> tuple[int, int]:
        """
        Return chunk and file index of the video of an episode in v3.

        :raises RecordingError: if the metadata lack them
        """
        try:
            chunk, file = row[f'videos/{key}/chunk_index'], row[f'videos/{key}/file_index']
            return operator.index(chunk), operator.index(file)
        except (KeyError, TypeError) as error:
            raise RecordingError(
                'dataset-video-place',
                f'episode {row["episode_index"]} of {self.root} has no chunk and file index of '
                f'{key} in meta/episodes ({error!r}): compare meta/ with its original',
            ) from error

    def _path(self, template: str, of: str, row: Mapping[str, Any], key: str = '') -> Path:
        number = int(row['episode_index'])
        chunk = number // int(self.info.get('chunks_size') or layout.FILES_PER_CHUNK)
        known = {'episode_chunk': chunk, 'episode_index': number, 'video_key': key}
        known |= {
            name: row[f'{of}/{name}'] for name in ('chunk_index', 'file_index')
            if f'{of}/{name}' in row
        }  # fmt: skip
        try:
            path = confined(self.root, filled(str(self.info[template]), known))
            return path if path.exists() else self._only(path, of, key) or path
        except (KeyError, ValueError, TypeError) as error:
            raise RecordingError(
                'dataset-path',
                f'{self.root / layout.INFO}: {template} is '
                f'{shown(repr(self.info.get(template)))}, may have {", ".join(sorted(known))}, '
                f'and must lead to a file in the dataset: correct it ({error})',
            ) from error

    def _only(self, path: Path, of: str, key: str) -> Path | None:
        """
        Return the only file of this name; None for none or several.

        Some datasets have a template that does not fit their folders; an episode in a file of its
        own is known by the name of the file.
        """
        if not self.old:
            return None
        found = [
            one for one in sorted((self.root / of.partition('/')[0]).rglob(path.name))
            if not key or key in one.parts
        ]  # fmt: skip
        return found[0] if len(found) == 1 else None

    def names(self, key: str) -> tuple[str, ...]:
        """Return the element names of a feature; empty if it has none, or some are repeated."""
        feature = self.features[key]
        names, count = flat_names(feature.get('names')), width(feature)
        if len(names) != count:
            names = self._modality_names(key, count)
        return tuple(names) if len(set(names)) == count and all(names) else ()

    def names_problem(self, key: str) -> str:
        """Return why a feature has no names that can be used, and a remedy."""
        names, count = flat_names(self.features[key].get('names')), width(self.features[key])
        twice = sorted(name for name, number in Counter(names).items() if number > 1)
        reason = f'has {", ".join(twice)} twice' if twice and len(names) == count else (
            'has an empty name' if not all(names)
            else f'has {count} numbers and {len(names)} names ({", ".join(names[:3])}...)' if names
            else f'has {count} numbers without names'
        )  # fmt: skip
        return (
            f'{key} {reason} in {layout.INFO}: name them in the map, "joints: [{{feature: {key}, '
            f'names: [...]}}]" with {count} names in their order'
        )

    def _modality_names(self, key: str, count: int) -> list[str]:
        """Return names by the parts of ``modality.json``, such as left_arm_0; empty without."""
        parts = {}
        for kind, default in (('state', layout.STATE), ('action', layout.ACTION)):
            for name, part in (self.modality.get(kind) or {}).items():
                if (part.get('original_key') or default) == key:
                    parts[name] = (int(part['start']), int(part['end']))
        ordered = sorted(parts, key=lambda name: parts[name])
        edges = [0, *(parts[name][1] for name in ordered)]
        tiled = all(parts[name][0] == edge for name, edge in zip(ordered, edges, strict=False))
        if not tiled or edges != sorted(edges) or edges[-1] != count:
            return []
        return [f'{name}_{k}' for name in ordered for k in range(parts[name][1] - parts[name][0])]

    def state(self) -> tuple[str, str]:
        """
        Return the feature with the joint positions, and a problem with a remedy.

        :returns: the feature is '' if there is none, or several
        """
        for key in STATES:
            if key in self.features:
                kind = self.features[key].get('dtype')
                if key not in self.vectors:
                    return '', f'{key} has the type {kind!r}, must be float: convert it'
                return key, '' if self.names(key) else self.names_problem(key)
        likely = [key for key in self.vectors if STATE_WORDS & set(re.split(r'[\W_]+', key))]
        if len(likely) == 1 and len(self.vectors) == 1:
            return likely[0], '' if self.names(likely[0]) else self.names_problem(likely[0])
        if not self.vectors:
            return '', 'it has no feature with joint positions: leave it out'
        sizes = ', '.join(f'{key} ({width(self.features[key])})' for key in self.vectors)
        return '', (
            f'no feature is known to be the joint positions, of {sizes}: name it in the map, '
            f'"joints: [{{feature: {self.vectors[0]}, names: [...]}}, ...]"'
        )

    @property
    def vectors(self) -> list[str]:
        """Return the numeric features that may be joint positions."""
        indices = set(layout.INDEX_COLUMNS)
        return [
            key for key, one in self.features.items()
            if str(one.get('dtype')).startswith('float') and key not in indices
            and not any(part in key for part in NO_STATE)
        ]  # fmt: skip


def width(feature: Mapping[str, Any]) -> int:
    """Return the number of elements of a feature."""
    return int(np.prod([int(side) for side in feature.get('shape') or (1,)]))


def open_dataset(root: Path) -> Dataset:
    """
    Read the metadata of a dataset.

    :raises RecordingError: if it cannot be read, or its version is unknown
    """
    files = sorted(path for path in (root / 'meta').rglob('*') if path.is_file())
    stats = [path.stat() for path in files]
    state = tuple(
        (str(path), one.st_size, one.st_mtime_ns) for path, one in zip(files, stats, strict=True)
    )
    return _open(root.resolve(), state)


@lru_cache(maxsize=8)
def _open(root: Path, state: tuple[tuple[str, int, int], ...]) -> Dataset:
    if (root / JOURNAL).is_file():
        raise RecordingError(
            'dataset-interrupted',
            f'writing of outcomes into {root} was interrupted: run "viva label '
            f'{shlex.quote(str(root))} --write-success" again',
        )
    try:
        info = read_json(root / layout.INFO)
        check_info(info)
        version = info['codebase_version']
        if not version.startswith(READABLE):
            raise RecordingError(
                'dataset-version',
                f'dataset {root} has version {version}, must be v2.x or v3.x: convert it with '
                'the scripts of LeRobot',
            )
        features, modality = info['features'], _modality(root)
        check_modality(modality)
        cameras, notes, others = _cameras(features, modality)
        rows, tasks = _old_rows(root) if version.startswith('v2') else _rows(root)
        rows = sorted(map(check_row, rows), key=lambda row: row['episode_index'])
        twice = Counter(row['episode_index'] for row in rows).most_common(1)
        if twice and twice[0][1] > 1:
            raise ValueError(f'episode {twice[0][0]} is listed {twice[0][1]} times')
        if info.get('total_episodes') not in (None, len(rows)):
            notes += (
                f'the dataset has {info["total_episodes"]} episodes by {layout.INFO}, and '
                f'{len(rows)} in the table of episodes, which alone are read',
            )
        fps = float(info['fps'])
        if not 0.0 < fps <= HIGHEST_FPS:
            raise ValueError(f'fps is {fps}, must be above 0 and at most {HIGHEST_FPS}')
    except READ_ERRORS as error:
        raise RecordingError(
            'dataset-unreadable',
            f'metadata of dataset {root} cannot be read ({type(error).__name__}: {error}): '
            'compare meta/ with its original',
        ) from error
    return Dataset(
        root, version, fps, features, cameras, rows, tasks, info, modality, notes, others
    )


def _modality(root: Path) -> dict[str, Any]:
    path = root / MODALITY
    if not path.is_file():
        return {}
    return dict(read_json(path))


def _cameras(
    features: Mapping[str, Any], modality: Mapping[str, Any]
) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """Return the colour cameras, name to feature, notes on others, and those of them in colour."""
    images = [key for key, one in features.items() if one.get('dtype') in ('video', 'image')]
    listed = {
        str(part.get('original_key') or f'{layout.IMAGES}{name}'): str(name)
        for name, part in (modality.get('video') or {}).items()
    }  # fmt: skip
    names = {
        key: re.sub(r'\W', '_', listed.get(key, key.removeprefix(layout.IMAGES)))
        for key in images
    }  # fmt: skip
    counts = Counter(name for key, name in names.items() if not is_depth(key, features[key]))
    found: dict[str, str] = {}
    notes, others = [], []
    for key in images:
        if is_depth(key, features[key]):
            notes.append(f'feature {key} is left out: it is a depth map')
        elif listed and key not in listed:
            notes.append(f'feature {key} is left out: {MODALITY} does not list it')
            others.append(key)
        elif counts[names[key]] > 1:
            notes.append(
                f'feature {key} is left out: two would be camera {names[key]!r}; name it in a map'
            )
            others.append(key)
        else:
            found[names[key]] = key
    return found, tuple(notes), tuple(others)


def _rows(root: Path) -> tuple[list[dict[str, Any]], dict[int, str]]:
    rows: list[dict[str, Any]] = []
    for path in sorted((root / 'meta/episodes').glob('*/*.parquet')):
        with open_table(path) as file:
            wanted = [n for n in file.schema_arrow.names if not _is_picture_statistic(n)]
            check_table(path, file, wanted)
            rows += file.read(columns=wanted).to_pylist()
    with open_table(root / layout.TASKS) as file:
        check_table(root / layout.TASKS, file)
        table = file.read().to_pydict()
    texts = table.get('task') or table.get('__index_level_0__') or []
    return rows, check_tasks(zip(table['task_index'], texts, strict=True))


def _is_picture_statistic(column: str) -> bool:
    return column.startswith('stats/') and column.rpartition('/')[2] not in ('min', 'max', 'count')


def _old_rows(root: Path) -> tuple[list[dict[str, Any]], dict[int, str]]:
    rows, tasks = json_lines(root / OLD_EPISODES), json_lines(root / 'meta/tasks.jsonl')
    statistics = root / OLD_STATS
    described = {one['episode_index']: one for one in json_lines(statistics)} \
        if statistics.is_file() else {}  # fmt: skip
    for row in rows:
        own = described.get(row['episode_index'], {}).get('stats') or {}
        row |= {
            f'stats/{key}/{name}': value for key, part in own.items()
            for name, value in part.items() if name in ('min', 'max', 'count')
        }  # fmt: skip
    return rows, check_tasks((row['task_index'], row['task']) for row in tasks)


def json_lines(path: Path) -> list[dict[str, Any]]:
    """
    Return the content of a file with one JSON object a line; blank lines are skipped.

    :raises ValueError: with file and line
    """
    found = []
    for number, line in enumerate(read_limited(path, LINES_LIMIT).decode('utf-8').split('\n'), 1):
        if not line.strip():
            continue
        try:
            found.append(parse_json(line, finite=False))  # statistics may have NaN
        except ValueError as error:
            raise ValueError(f'{path}, line {number}: {error}') from error
    return found
