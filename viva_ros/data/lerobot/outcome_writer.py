# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Writing outcomes into the files of a LeRobot dataset, v2.0 to v3.x, of any tool.

``next.success`` of the frames is what LeRobot writes and reads: a boolean that is true in the last
frame of a success. ``success`` of the episodes is in the episode table. All other columns keep
their content.

All files are first written under other names and flushed; a journal in ``meta/`` then lists them,
and they are renamed. Interrupted before the journal, the dataset is as before; after it, the
dataset is refused by readers until ``finish`` has renamed the rest. One process at a time writes.

A dataset may be of others: nothing outside of its folder is written or renamed, whatever its
journal and its links say.
"""

import json
import os
import shlex
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.file_lock import ExclusiveLock
from viva_ros.core.files import remedy, sync, write_atomically
from viva_ros.core.foreign_text import shown
from viva_ros.core.json_reader import parse_json, read_json
from viva_ros.core.outcome import outcome, outcome_of_frames
from viva_ros.data.episode import Label
from viva_ros.data.lerobot import layout, stats
from viva_ros.data.lerobot.metadata import (
    JOURNAL,
    OLD_EPISODES,
    OLD_STATS,
    READ_ERRORS,
    Dataset,
    confined,
    json_lines,
    open_dataset,
)
from viva_ros.data.table_limits import check_table, open_table

LOCK: Final = '.viva_outcomes.lock'
SUFFIX: Final = '.viva_new'  # of a file that is written and not yet renamed
FEATURE: Final = {'dtype': 'bool', 'shape': [1], 'names': None}
HUGGINGFACE: Final = b'huggingface'  # features in the metadata of a data file, as JSON
Flags = NDArray[np.bool_]
Track = Callable[[Sequence[Path], str], Iterable[Path]]


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """
    Keep other processes from writing outcomes into a dataset, for the block.

    :raises RecordingError: if another process writes them, or the lock cannot be taken
    """
    path = root / LOCK
    try:
        file = open(path, 'a', encoding='utf-8', opener=_open_lock)  # noqa: SIM115
    except OSError as error:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise RecordingError(
                'outcomes-lock-kind',
                f'{path} is a link, pipe or folder, must be a file: delete it, with '
                f'"rm -r {shlex.quote(str(path))}"',
            ) from error
        raise _unwritable(root, error) from error
    with file:
        try:
            lock = ExclusiveLock(file, path)
            if not os.fstat(file.fileno()).st_nlink:  # deleted by its last owner
                raise BlockingIOError('another process has just written them')
        except BlockingIOError as error:
            raise RecordingError(
                'outcomes-locked',
                f'outcomes are being written into {root} by another process ({error}): wait for '
                'its end, then run the same command again',
            ) from error
        except OSError as error:
            raise _unwritable(root, error) from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            lock.release()


def _open_lock(path: str, flags: int) -> int:
    """Open a lock file, but no link, which could lead elsewhere, and no pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def write_outcomes(root: Path, labels: Mapping[int, Label], track: Track) -> int:
    """
    Write the outcomes of all episodes into the files of a dataset.

    Frames that have the outcome already keep their values, such as a success from frame k on.

    :param labels: by index of the episode; of all episodes
    :param track: shows the progress over files
    :returns: number of files that were changed
    :raises RecordingError: if an episode has no label, or a file cannot be read or written;
        nothing is changed then
    """
    finish(root)
    dataset = open_dataset(root)
    try:
        missing = [str(one['episode_index']) for one in dataset.rows
                   if one['episode_index'] not in labels]  # fmt: skip
        if missing:
            raise RecordingError(
                'outcomes-incomplete',
                f'{root}: {len(missing)} episodes have no outcome: {", ".join(missing[:10])}. '
                'next.success has no value for an unknown outcome: label them with "viva label '
                f'{shlex.quote(str(root))} --unlabelled"',
            )
        changes = _Changes(dataset, labels)
        changes.stage(track)
        return changes.commit()
    except OSError as error:
        raise _unwritable(root, error) from error
    except READ_ERRORS as error:
        raise RecordingError(
            'outcomes-unreadable',
            f'files of {root} cannot be read ({type(error).__name__}: {error}): compare them with '
            'their originals',
        ) from error


def finish(root: Path) -> None:
    """
    Complete renames that were interrupted; nothing without a journal.

    :raises RecordingError: if a file cannot be renamed
    """
    journal = root / JOURNAL
    if not journal.is_file():
        return
    paths = _journalled(root, journal)
    try:
        for path in paths:
            if _staged(path).exists():
                _staged(path).replace(path)
        for folder in sorted({path.parent for path in paths}):
            sync(folder)
        journal.unlink()
        sync(journal.parent)
    except OSError as error:
        raise _unwritable(root, error) from error


def _journalled(root: Path, journal: Path) -> list[Path]:
    """
    Return the files that a journal lists.

    :raises RecordingError: if it cannot be read, or one of them is not a file of the dataset
    """
    try:
        names = read_json(journal)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError('it is no list of names')
        paths = [confined(root, name) for name in names]
        for path in (journal, *paths, *map(_staged, paths)):
            _check_inside(root, path)
            if not path.is_file() and (path.exists() or path in paths):
                raise ValueError(f'{shown(path)} is no file')
    except (OSError, ValueError) as error:
        raise RecordingError(
            'outcomes-journal',
            f'{journal} is not a journal that "viva label" wrote into this dataset ({error}): '
            f'delete it, with "rm {shlex.quote(str(journal))}", and compare the dataset with its '
            'original',
        ) from error
    return paths


def _check_inside(root: Path, path: Path) -> None:
    """
    Check that a file is in the folder of a dataset, and not behind a link.

    :raises ValueError: if it is not
    """
    place, target = (os.path.realpath(one) for one in (path.parent, path))  # also of a circle
    if not Path(place).is_relative_to(os.path.realpath(root)) or path.is_symlink():
        raise ValueError(f'{shown(path)} is, or is behind, a link to {shown(target)}')


def _unwritable(root: Path, error: OSError) -> RecordingError:
    return RecordingError(
        'outcomes-unwritable',
        f'{error.filename or root} cannot be written ({error}): {remedy(error)}',
    )


def _staged(path: Path) -> Path:
    return path.with_name(f'.{path.name}{SUFFIX}')


@dataclass
class _Changes:
    """
    The changed files of a dataset, written under other names.

    :param frames: episode to the outcomes of its frames
    :param paths: of the files, in the order of the renames
    """

    dataset: Dataset
    labels: Mapping[int, Label]
    frames: dict[int, Flags] = field(default_factory=dict)
    paths: list[Path] = field(default_factory=list)

    def stage(self, track: Track) -> None:
        """Write all files under other names; none is left after an error."""
        root = self.dataset.root
        _check_link(root / JOURNAL, root)
        try:
            files = dict.fromkeys(self.dataset.data_file(row) for row in self.dataset.rows)
            for path in track(list(files), 'writing'):
                self._data(path)
            if self.dataset.old:
                self._old_tables()
            else:
                for path in sorted((root / 'meta/episodes').glob('*/*.parquet')):
                    self._episodes(path)
            if (root / layout.STATS).is_file():
                self._json(root / layout.STATS, self._with_statistics)
            self._json(root / layout.INFO, self._with_feature)
        except BaseException:
            self._discard()
            raise

    def commit(self) -> int:
        """Write the journal and rename all files; return their number."""
        names = [str(path.relative_to(self.dataset.root)) for path in self.paths]
        try:
            for folder in sorted({path.parent for path in self.paths}):
                sync(folder)
            if names:
                write_atomically(self.dataset.root / JOURNAL, json.dumps(names))
        except BaseException:
            (self.dataset.root / JOURNAL).unlink(missing_ok=True)
            self._discard()
            raise
        finish(self.dataset.root)
        return len(names)

    def _discard(self) -> None:
        for path in self.paths:
            _staged(path).unlink(missing_ok=True)

    def _replace(self, path: Path, write: Callable[[Path], object]) -> None:
        _check_writable(path, self.dataset.root)
        self.paths.append(path)
        _staged(path).unlink(missing_ok=True)  # a link would be followed
        write(_staged(path))
        shutil.copymode(path, _staged(path))
        sync(_staged(path))

    def _data(self, path: Path) -> None:
        """Write ``next.success`` of the frames in a data file."""
        wanted = ('episode_index', 'frame_index', 'index', layout.FRAME_SUCCESS)
        table = _read(path, wanted)
        names = table.column_names
        numbers = np.asarray(table['episode_index'])
        order = next((n for n in wanted[1:3] if n in names), '')
        places = np.asarray(table[order]) if order else np.arange(table.num_rows)
        recorded = table[layout.FRAME_SUCCESS].to_pylist() if layout.FRAME_SUCCESS in names else []
        flags = np.zeros(table.num_rows, dtype=np.bool_)
        rows = np.lexsort((places, numbers))
        for part in np.split(rows, np.flatnonzero(np.diff(numbers[rows])) + 1):
            if not part.size:  # a file without rows
                continue
            number = int(numbers[part[0]])
            if number not in self.labels:
                raise RecordingError(
                    'outcomes-rows',
                    f'{path} has rows of episode {number}, which meta/ does not have: compare '
                    'meta/ with its original',
                )
            own = [recorded[row] for row in part] if recorded else []
            flags[part] = frame_outcomes(own, len(part), self.labels[number].success)
            self.frames[number] = flags[part]
        columns = {layout.FRAME_SUCCESS: pa.array(flags)}
        if not _has_columns(path, columns):
            self._replace(path, partial(_write_columns, path, columns))

    def _episodes(self, path: Path) -> None:
        """Write the columns of an episode table of v3."""
        with open_table(path) as file:
            names = file.schema_arrow.names
        numbers = _read(path, ['episode_index'])['episode_index'].to_pylist()
        own = [self._own(number) for number in numbers]
        columns = {
            key: pa.array([one[key] for one in own], layout.EXTRA_COLUMNS[key])
            for key in own[0] if key == layout.SUCCESS or key in names
        } if own else {}  # fmt: skip
        described = {name.rpartition('/')[2] for name in names if name.startswith('stats/')}
        for name in sorted(described & set(stats.NAMES)):
            kind = pa.list_(pa.int64() if name == 'count' else pa.float64())
            values = [self._statistics(number)[name].tolist() for number in numbers]
            columns[f'stats/{layout.FRAME_SUCCESS}/{name}'] = pa.array(values, kind)
        if not _has_columns(path, columns):
            self._replace(path, partial(_write_columns, path, columns))

    def _own(self, number: int) -> dict[str, Any]:
        """Return the columns of an episode; those of this package have the times of its label."""
        label = self.labels[number]
        marks = [[mark.kind, mark.time, mark.text] for mark in label.marks]
        return {
            layout.SUCCESS: label.success, layout.FAILURE: label.failure,
            layout.TIMES: json.dumps(dict(label.times)), layout.MARKS: json.dumps(marks),
        }  # fmt: skip

    def _old_tables(self) -> None:
        """Write the episode table of v2, and the statistics of v2.1."""
        root = self.dataset.root

        def rows(row: dict[str, Any]) -> dict[str, Any]:
            own = self._own(int(row['episode_index']))
            return {**row, **{k: own[k] for k in own if k == layout.SUCCESS or k in row}}

        def described(row: dict[str, Any]) -> dict[str, Any]:
            known = self._statistics(int(row['episode_index']))
            return {**row, 'stats': self._described(row['stats'], known)}

        for name, changed in ((OLD_EPISODES, rows), (OLD_STATS, described)):
            if (root / name).is_file():
                before = json_lines(root / name)
                after = [changed(row) for row in before]
                if after != before:
                    text = ''.join(f'{json.dumps(row, ensure_ascii=False)}\n' for row in after)
                    self._replace(root / name, partial(_write_text, text))

    def _statistics(self, number: int) -> dict[str, Any]:
        return stats.of_rows(self.frames[number])

    def _described(self, content: Mapping[str, Any], known: stats.Statistics) -> dict[str, Any]:
        """Return statistics of features with those of the outcomes, by the names they have."""
        names = {name for key, one in content.items() if key != layout.FRAME_SUCCESS
                 for name in one}  # fmt: skip
        own = {name: known[name].tolist() for name in stats.NAMES if name in names}
        return {**content, layout.FRAME_SUCCESS: own} if own else dict(content)

    def _with_statistics(self, content: Mapping[str, Any]) -> dict[str, Any]:
        whole = stats.aggregate([self._statistics(number) for number in sorted(self.frames)])
        return self._described(content, whole)

    def _with_feature(self, content: Mapping[str, Any]) -> dict[str, Any]:
        known = content['features'].get(layout.FRAME_SUCCESS, {})
        feature = known if known.get('dtype') == 'bool' else FEATURE
        return {**content, 'features': {**content['features'], layout.FRAME_SUCCESS: feature}}

    def _json(self, path: Path, changed: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        before = read_json(path, finite=False)  # statistics may have NaN
        after = changed(before)
        if after != before:
            text = json.dumps(after, indent=4, ensure_ascii=False)
            self._replace(path, partial(_write_text, text))


def frame_outcomes(recorded: Sequence[object], count: int, success: bool) -> Flags:
    """
    Return ``next.success`` of an episode, (count,): true in the last frame of a success.

    :param recorded: its present values; kept if they have this outcome; empty without any
    """
    if recorded and outcome_of_frames(layout.FRAME_SUCCESS, recorded)[0] == success:
        return np.array([outcome(value) for value in recorded], dtype=np.bool_)
    flags = np.zeros(count, dtype=np.bool_)
    flags[-1] = success
    return flags


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding='utf-8')


def _read(path: Path, columns: Iterable[str]) -> pa.Table:
    """
    Return those of some columns that a parquet file has.

    :raises ValueError: if they are above the limits
    """
    with open_table(path) as file:
        chosen = [name for name in columns if name in file.schema_arrow.names]
        check_table(path, file, chosen)
        return file.read(columns=chosen)


def _has_columns(path: Path, columns: Mapping[str, pa.Array]) -> bool:
    """Return whether a parquet file has columns with this content."""
    with open_table(path) as file:
        schema = file.schema_arrow
    known = {n: one.type for n, one in columns.items() if n in schema.names}
    if len(known) < len(columns) or any(schema.field(n).type != known[n] for n in known):
        return False
    table = _read(path, columns)
    return all(table[n].combine_chunks().equals(one) for n, one in columns.items())


def _write_columns(source: Path, columns: Mapping[str, pa.Array], path: Path) -> None:
    """Copy a parquet file with other columns, one group of rows at a time."""
    with open_table(source) as file:
        empty = _with_columns(file.schema_arrow.empty_table(), columns, 0)
        schema = empty.schema.with_metadata(_metadata(file.schema_arrow.metadata, columns))
        groups = file.num_row_groups
        codec = file.metadata.row_group(0).column(0).compression if groups else 'SNAPPY'
        codec = 'NONE' if codec == 'UNCOMPRESSED' else codec
        with pq.ParquetWriter(path, schema, compression=codec) as writer:
            first = 0
            for k in range(groups):
                check_table(source, file, groups=[k])
                rows = file.read_row_group(k)
                writer.write_table(
                    _with_columns(rows, columns, first).cast(schema), max(rows.num_rows, 1)
                )
                first += rows.num_rows


def _with_columns(table: pa.Table, columns: Mapping[str, pa.Array], first: int) -> pa.Table:
    for name, values in columns.items():
        part = values.slice(first, table.num_rows)
        index = table.column_names.index(name) if name in table.column_names else -1
        table = table.append_column(name, part) if index < 0 else \
            table.set_column(index, name, part)  # fmt: skip
    return table


def _metadata(
    known: Mapping[bytes, bytes] | None, columns: Mapping[str, pa.Array]
) -> dict[bytes, bytes]:
    """Return the metadata of a data file; a list of features gets ``next.success``."""
    found = dict(known or {})
    if HUGGINGFACE in found and layout.FRAME_SUCCESS in columns:
        content = parse_json(found[HUGGINGFACE], finite=False)
        features = content.get('info', {}).get('features')
        if isinstance(features, dict):
            features[layout.FRAME_SUCCESS] = {'dtype': 'bool', '_type': 'Value'}
            found[HUGGINGFACE] = json.dumps(content).encode()
    return found


def _check_writable(path: Path, root: Path) -> None:
    """Refuse files that are protected, or shared through links: a rename would replace them."""
    _check_link(path, root)
    if not path.stat().st_mode & stat.S_IWUSR or not os.access(path.parent, os.W_OK):
        raise RecordingError(
            'outcomes-read-only',
            f'{path} is read-only: make the dataset writable with "chmod -R u+w '
            f'{shlex.quote(str(root))}", or write into a copy of it',
        )


def _check_link(path: Path, root: Path) -> None:
    try:
        _check_inside(root, path)
    except ValueError as error:
        raise RecordingError(
            'outcomes-link',
            f'{error}, which others may use: copy the dataset with '
            f'"cp -rL {shlex.quote(str(root))} COPY" and write into the copy',
        ) from error
