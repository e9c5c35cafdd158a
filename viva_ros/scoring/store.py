# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Tables of scored recordings: values, and progress in the format of LeRobot.

The progress table has the columns of ``sarm_progress.parquet`` of LeRobot 0.6, one row for each
frame, so that its sample weighting reads it.
"""

import io
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from viva_ros.core.detection.thresholds import same_rate
from viva_ros.core.errors import ConfigurationError, EngineError, RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.core.json_reader import parse_json
from viva_ros.core.observation import Array
from viva_ros.data.open import identity, resolve
from viva_ros.data.recording import recording_name
from viva_ros.data.table_limits import check_table, open_table
from viva_ros.engine.api import EngineInfo
from viva_ros.scoring.frame_index import Timeline, place
from viva_ros.scoring.scorer import ScoredSample, Scores
from viva_ros.scoring.smoothing import Mask, fill
from viva_ros.scoring.table_checks import check_columns, check_frames, check_metadata

FORMAT: Final = 'viva_ros values 1'
PREFIX: Final = 'viva.'
OK, UNKNOWN, NOT_ASKED = 'ok', 'unknown', 'not_asked'
VALUES_SUFFIX, PROGRESS_SUFFIX = '_values.parquet', '_progress.parquet'
GAPS: Final = 2.5  # largest gap to interpolate, in units of the median distance of two values
SCHEMA: Final = pa.schema([
    ('episode', pa.int64()), ('frame', pa.int64()), ('stamp', pa.int64()),
    ('value', pa.float64()), ('progress', pa.float64()), ('success', pa.float64()),
    ('status', pa.string()), ('reason', pa.string()), ('alarm', pa.bool_()),
    ('published', pa.float64()), ('correction', pa.bool_()), ('executing', pa.bool_()),
])  # fmt: skip
PROGRESS_SCHEMA: Final = pa.schema([
    ('index', pa.int64()), ('episode_index', pa.int64()), ('frame_index', pa.int64()),
    ('progress_sparse', pa.float32()),
])  # fmt: skip


def values_table(scores: Scores, episodes: Sequence[Timeline]) -> pa.Table:
    """Return a row for each value, and for each frame without one."""
    alarms = {event.stamp for event in scores.alarms}
    rows = [_row(sample, episodes, alarms) for sample in scores.samples]
    valued = {(row['episode'], row['frame']) for row in rows}
    for one in episodes:
        rows += [_gap(one, f) for f in range(len(one.stamps)) if (one.number, f) not in valued]
    rows.sort(key=lambda row: (row['episode'], row['stamp']))
    schema = SCHEMA
    for kind in ('forecast', 'proprio'):
        joints = sorted({name for sample in scores.samples for name in getattr(sample, kind)})
        for name in joints:
            schema = schema.append(pa.field(f'{kind}.{name}', pa.float64()))
    return pa.Table.from_pylist(rows, schema)


def _row(sample: ScoredSample, episodes: Sequence[Timeline], alarms: set[int]) -> dict[str, Any]:
    one, frame = place(sample.stamp, sample.episode, episodes)
    known = math.isfinite(sample.value)
    row = {
        'episode': one.number if one else 0, 'frame': frame if frame >= 0 else None,
        'stamp': sample.stamp, 'value': known_number(sample.value),
        'progress': known_number(sample.progress), 'success': known_number(sample.success),
        'status': OK if known else UNKNOWN, 'reason': sample.reason,
        'alarm': sample.stamp in alarms, 'published': known_number(sample.published),
        'correction': one is not None and _corrected(one, sample.stamp),
        'executing': sample.executing,
    }  # fmt: skip
    row |= {f'forecast.{name}': at for name, at in sample.forecast.items()}
    return row | {f'proprio.{name}': at for name, at in sample.proprio.items()}


def _gap(one: Timeline, frame: int) -> dict[str, Any]:
    stamp = int(one.stamps[frame])
    return {
        'episode': one.number, 'frame': frame, 'stamp': stamp, 'status': NOT_ASKED, 'reason': '',
        'alarm': False, 'correction': _corrected(one, stamp), 'executing': None,
    }  # fmt: skip


def _corrected(one: Timeline, stamp: int) -> bool:
    return any(begin <= one.seconds(stamp) <= end for begin, end in one.corrections)


def known_number(number: float | None) -> float | None:
    """Return a number; None if it is NaN, infinite or None."""
    return None if number is None or not math.isfinite(number) else float(number)


def per_frame(count: int, frames: Sequence[int], values: Sequence[float]) -> tuple[Array, Mask]:
    """
    Assign to each frame its newest known value.

    :param count: number of frames
    :param frames: frame of each value, in order; below 0 for none
    :returns: values, (count,), NaN where unknown; and whether the engine was asked, (count,)
    """
    found, asked = np.full(count, np.nan), np.zeros(count, dtype=np.bool_)
    for frame, value in zip(frames, values, strict=True):
        if 0 <= frame < count:
            asked[frame] = True
            if math.isfinite(value):
                found[frame] = value
    return found, asked


def filled(values: Array, asked: Mask) -> Array:
    """Interpolate frames between values, except across gaps of more than GAPS."""
    usual = np.diff(np.flatnonzero(asked))
    return fill(values, asked, GAPS * float(np.median(usual)) if usual.size else 0.0)


def progress_table(scores: Scores, episodes: Sequence[Timeline]) -> pa.Table:
    """Return the progress table: progress of the engine, or (1 + V) / 2; NaN where unknown."""
    direct = any(math.isfinite(sample.progress) for sample in scores.samples)
    where = [place(sample.stamp, sample.episode, episodes) for sample in scores.samples]
    columns: list[list[Any]] = [[], [], [], []]
    for one in episodes:
        pairs = [(frame, sample) for (of, frame), sample in zip(where, scores.samples, strict=True)
                 if of is one]  # fmt: skip
        found = [s.progress if direct else (1.0 + s.value) / 2.0 for _, s in pairs]
        progress = filled(*per_frame(len(one.stamps), [frame for frame, _ in pairs], found))
        count = range(len(one.stamps))
        columns[0] += [one.first + frame for frame in count]
        columns[1] += [one.number] * len(count)
        columns[2] += count
        columns[3] += progress.tolist()
    table = pa.table(dict(zip(PROGRESS_SCHEMA.names, columns, strict=True)), PROGRESS_SCHEMA)
    source = 'progress of the engine' if direct else '(1 + V) / 2'
    return with_header(table, {'progress_of': source})


def header_of(
    scores: Scores, episodes: Sequence[Timeline], made_of: Mapping[str, Any], command: str,
    trained: Collection[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """
    Return the metadata of both tables, for JSON.

    :param trained: content identities of the training episodes of the engine; None if unknown
    """
    return {
        'format': FORMAT, 'name': scores.name, 'engine': scores.engine, 'task': scores.task,
        'version': tool_version(), 'command': command, 'calibration': made_of['calibration'],
        'made_of': made_of, 'losses': list(scores.losses),
        'episodes': [episode_entry(one, trained) for one in episodes],
        'alarms': [
            {k: known_number(v) if isinstance(v, float) else v
             for k, v in asdict(event).items() if k != 'window'}
            for event in scores.alarms
        ],
    }  # fmt: skip


def episode_entry(one: Timeline, trained: Collection[str] | None = None) -> dict[str, Any]:
    """
    Return the metadata of an episode; unknown is null.

    :param trained: content identities of the training episodes of the engine; None if unknown
    """
    label = one.label
    return {
        'episode': one.number, 'id': one.id, 'index': one.first, 'frames': len(one.stamps),
        'begin': int(one.stamps[0]), 'end': int(one.stamps[-1]),
        'control_rate': known_number(one.control_rate), 'corrections': one.corrections,
        'task': label.task if label else None, 'success': label.success if label else None,
        'failure': label.failure if label else None, 'times': dict(label.times) if label else {},
        'identities': sorted(one.identities), 'trained': is_trained(one.identities, trained),
    }  # fmt: skip


def is_trained(identities: Collection[str], trained: Collection[str] | None) -> bool | None:
    """Return whether an engine was trained on an episode; None if unknown."""
    if trained is None or not identities:
        return None
    return not set(trained).isdisjoint(identities)


def with_header(table: pa.Table, header: Mapping[str, Any]) -> pa.Table:
    """Add entries to the metadata of a table; text is stored as is, all else as JSON."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in header.items()}
    entries = {f'{PREFIX}{key}': text for key, text in texts.items()}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **entries})


def write_table(path: Path, table: pa.Table) -> None:
    """
    Write a table atomically.

    :raises ConfigurationError: if the file cannot be written, for example on a full disk
    """
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression='zstd')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise ConfigurationError(
            'table-write',
            f'{path} cannot be written ({error}): free space or choose another --out, then run '
            'the same command again to continue',
        ) from error


def tool_version() -> str:
    """Return the version of this package."""
    try:
        return version('viva_ros')
    except PackageNotFoundError:
        return 'not installed'


SCORE: Final = "run 'viva score'"
TEXTS: Final = ('format', 'name', 'engine', 'task', 'version', 'command', 'data_set')


@dataclass(frozen=True)
class ScoredEpisode:
    """
    One episode of a scored recording with T frames.

    :param path: path of the table
    :param entry: metadata: id, frames, begin and end (ns), control_rate (Hz), task, success (None
        without a label), corrections (s), identities, trained (whether the engine learnt from it)
    :param stamps: stamps of the frames, (T,) ns
    :param values: V, (T,); NaN where unknown or where the engine was not asked
    :param progress: in V, which is V + 1 - success, (T,), below 0 on a way home; NaN likewise, and
        where the engine does not separate it from risk
    :param asked: whether the engine was asked, (T,)
    :param corrected: whether a person had control, (T,)
    """

    path: Path
    entry: Mapping[str, Any]
    stamps: NDArray[np.int64]
    values: Array
    progress: Array
    asked: Mask
    corrected: Mask

    @property
    def name(self) -> str:
        """Return the name of the recording."""
        return self.path.name.removesuffix(VALUES_SUFFIX)


@dataclass(frozen=True)
class Scored:
    """A table of values, with its path and metadata."""

    path: Path
    header: Mapping[str, Any]
    table: pa.Table

    @property
    def name(self) -> str:
        """Return the name of the recording."""
        return self.path.name.removesuffix(VALUES_SUFFIX)

    @property
    def engine(self) -> str:
        """Return the fingerprint of the engine."""
        return str(self.header['engine'])

    @cached_property
    def episodes(self) -> list[ScoredEpisode]:
        """Return the episodes with values for each frame."""
        columns = {name: self.table[name] for name in ('episode', 'frame', 'stamp')}
        episode, stamp = (columns[n].to_numpy() for n in ('episode', 'stamp'))
        frame = columns['frame'].fill_null(-1).to_numpy()
        value, success = (
            self.table[name].fill_null(math.nan).to_numpy() for name in ('value', 'success')
        )
        progress = value + 1.0 - success
        asked = np.array([status != NOT_ASKED for status in self.table['status'].to_pylist()])
        found = []
        for entry in self.header['episodes']:
            rows = (episode == entry['episode']) & asked if len(episode) else np.zeros(0, bool)
            (values, known), (done, _) = (
                per_frame(entry['frames'], frame[rows].tolist(), column[rows].tolist())
                for column in (value, progress)
            )
            stamps = self._stamps(entry, episode, frame, stamp)
            found.append(ScoredEpisode(
                self.path, entry, stamps, values, done, known, _read_corrected(entry, stamps)
            ))  # fmt: skip
        return found

    @staticmethod
    def _stamps(entry: Mapping[str, Any], episode: Any, frame: Any, stamp: Any) -> Any:
        """Return the stamps of the frames: those in the table, or evenly spaced."""
        stamps = np.linspace(entry['begin'], entry['end'], entry['frames']).round()
        rows = (episode == entry['episode']) & (frame >= 0)
        stamps[frame[rows]] = stamp[rows]
        return stamps.astype(np.int64)


def _read_corrected(entry: Mapping[str, Any], stamps: NDArray[np.int64]) -> Mask:
    seconds = np.round((stamps - entry['begin']) * 1e-9, 9)
    held = np.zeros(len(stamps), dtype=np.bool_)
    for begin, end in entry['corrections']:
        held |= (seconds >= begin) & (seconds <= end)
    return held


def header(path: Path) -> dict[str, Any] | None:
    """Return the metadata of a table; None if it is missing, torn or of another format."""
    try:
        with open_table(path) as file:
            return _parse(file.schema_arrow.metadata or {})
    except (OSError, pa.ArrowException, ValueError, KeyError):
        return None


def _parse(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    mark = PREFIX.encode()
    texts = {k.removeprefix(mark).decode(): v.decode() for k, v in metadata.items()
             if k.startswith(mark)}  # fmt: skip
    content = {
        key: text if key in TEXTS else parse_json(text, finite=False)
        for key, text in texts.items() if key != 'progress_of'
    }  # fmt: skip
    if content['format'] != FORMAT:
        raise ValueError(f'format is {content["format"]!r}, must be {FORMAT!r}')
    check_metadata(content)
    return content


def is_whole(path: Path) -> bool:
    """Return whether a table of this package can be read."""
    return header(path) is not None


def read_scored(path: Path) -> Scored:
    """
    Read a table of values.

    :raises RecordingError: if the file is damaged or has another format
    """
    try:
        with open_table(path) as file:
            check_table(path, file)
            table = file.read()
        content = _parse(table.schema.metadata or {})
        check_columns(table, SCHEMA, (FORECAST, PROPRIO))
        check_frames(content, table)
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        why = f'{type(error).__name__}: {error}'.splitlines()[0]
        raise RecordingError(
            'table-invalid', f'{path} is not a table of values ({why}): {SCORE}'
        ) from error
    return Scored(path, content, table)


def find_scored(paths: Iterable[Path]) -> list[Path]:
    """
    Return tables, and those in folders and their subfolders; sorted, each once.

    :raises RecordingError: if a folder has no table
    """
    found: list[Path] = []
    for path in paths:
        here = sorted(path.rglob(f'*{VALUES_SUFFIX}')) if path.is_dir() else [path]
        if not here:
            raise RecordingError(
                'tables-missing', f'folder {path} has no *{VALUES_SUFFIX} files: {SCORE}'
            )
        found += here
    return list(dict.fromkeys(found))


FORECAST, PROPRIO = 'forecast.', 'proprio.'


def table_of(recording: Path, folder: Path) -> Path:
    """Return the path of the table that 'viva score' writes, which keeps subfolders."""
    name = f'{recording_name(recording)}{VALUES_SUFFIX}'
    parents = recording.absolute().parent.parts
    places = [folder.joinpath(*parents[k:], name) for k in range(1, len(parents) + 1)]
    return next((p for p in places if p.exists()), folder / recording.parent.name / name)


def is_scored(recording: Path, folder: Path, info: EngineInfo, task: str) -> bool:
    """Return whether a table of this recording, engine and task exists."""
    found = header(table_of(recording, folder))
    if found is None or (found['engine'], found['task']) != (info.fingerprint, task):
        return False
    return bool(found['made_of'].get('input') == identity(resolve(recording)))


def read_samples(
    recording: Path, folder: Path, info: EngineInfo, task: str, rate: float
) -> list[ScoredSample]:
    """
    Return the samples of a recording from its table.

    :param rate: rate of the monitor, Hz
    :raises RecordingError: if the table is missing, or of another engine, task, recording or rate
    """
    path = table_of(recording, folder)
    if not is_scored(recording, folder, info, task):
        raise RecordingError(
            'table-mismatch',
            f'{path} is missing, or is not of {recording}, task {task} and engine '
            f'{info.fingerprint}: {SCORE}',
        )
    table = read_scored(path)
    if not same_rate(found := table.header['made_of']['rate'], rate):
        raise RecordingError(
            'table-rate',
            f'{path} has values at {found:g} Hz, must be at {rate:g} Hz: score the recording with '
            f'--rate {rate:g}',
        )
    return samples_of(table, info.horizon)


def samples_of(scored: Scored, horizon: float = math.nan) -> list[ScoredSample]:
    """
    Return the samples of a table, sorted by stamp.

    :param horizon: forecast horizon of the engine, s; NaN without a forecast rule
    """
    ids = {entry['episode']: entry['id'] for entry in scored.header['episodes']}
    rows = scored.table.sort_by('stamp').to_pylist()
    return [_sample(row, ids, horizon) for row in rows if row['status'] != NOT_ASKED]


def _sample(row: dict[str, Any], ids: dict[int, str], horizon: float) -> ScoredSample:
    joints = {
        kind: {name.removeprefix(kind): at for name, at in row.items()
               if name.startswith(kind) and at is not None}
        for kind in (FORECAST, PROPRIO)
    }  # fmt: skip
    published = row['published']
    return ScoredSample(
        row['stamp'], _number(row['value']), row['reason'] or '', joints[FORECAST],
        ids.get(row['episode'], ''), published, False, _number(row['progress']),
        _number(row['success']), joints[PROPRIO], horizon,
        executing=row.get('executing') is not False,  # old tables lack this column
    )  # fmt: skip


def _number(number: float | None) -> float:
    return math.nan if number is None else float(number)


def check_engines(tables: Sequence[Scored]) -> str:
    """
    Return the fingerprint of the engine of all tables.

    :raises EngineError: if tables have different engines, whose values are not comparable
    """
    names: dict[str, list[str]] = {}
    for table in tables:
        names.setdefault(table.engine, []).append(table.name)
    if len(names) > 1:
        counts = '; '.join(f'{mark}: {len(of)}, such as {of[0]}' for mark, of in names.items())
        raise EngineError(
            'tables-engines-differ',
            f'recordings were scored by several engines ({counts}): score all with one engine',
        )
    return next(iter(names))
