# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading what scoring wrote: the tables of values, with all that their metadata tells."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.observation import Array
from viva_ros.scoring.smoothing import Mask
from viva_ros.scoring.store import FORMAT, NOT_ASKED, PREFIX, SCHEMA, VALUES_SUFFIX, per_frame

SCORE: Final = "make it with 'viva score'"
TEXTS: Final = ('format', 'name', 'engine', 'task', 'version', 'command', 'data_set')


@dataclass(frozen=True)
class ScoredEpisode:
    """
    One episode of a scored recording; arrays go over its frames.

    :param path: of the table
    :param entry: as the header tells it: id, frames, begin and end (ns), control_rate, task,
        success (None without a label), corrections
    :param stamps: of the frames, (T,) ns
    :param values: V, (T,); NaN where unknown or not asked for
    :param asked: whether a value was asked for, (T,)
    :param corrected: whether a person had control, (T,)
    """

    path: Path
    entry: Mapping[str, Any]
    stamps: NDArray[np.int64]
    values: Array
    asked: Mask
    corrected: Mask

    @property
    def name(self) -> str:
        """Of the recording."""
        return self.path.name.removesuffix(VALUES_SUFFIX)


@dataclass(frozen=True)
class Scored:
    """A table of values."""

    path: Path
    header: Mapping[str, Any]
    table: pa.Table

    @property
    def name(self) -> str:
        """Of the recording."""
        return self.path.name.removesuffix(VALUES_SUFFIX)

    @property
    def engine(self) -> str:
        """Fingerprint."""
        return str(self.header['engine'])

    @cached_property
    def episodes(self) -> list[ScoredEpisode]:
        """Give the episodes with their frames."""
        columns = {name: self.table[name] for name in ('episode', 'frame', 'stamp', 'value')}
        episode, stamp = (columns[n].to_numpy() for n in ('episode', 'stamp'))
        frame = columns['frame'].fill_null(-1).to_numpy()
        value = columns['value'].fill_null(math.nan).to_numpy()
        asked = np.array([status != NOT_ASKED for status in self.table['status'].to_pylist()])
        found = []
        for entry in self.header['episodes']:
            rows = (episode == entry['episode']) & asked if len(episode) else np.zeros(0, bool)
            values, known = per_frame(entry['frames'], frame[rows].tolist(), value[rows].tolist())
            stamps = self._stamps(entry, episode, frame, stamp)
            found.append(ScoredEpisode(
                self.path, entry, stamps, values, known, _read_corrected(entry, stamps)
            ))  # fmt: skip
        return found

    @staticmethod
    def _stamps(entry: Mapping[str, Any], episode: Any, frame: Any, stamp: Any) -> Any:
        """Give each frame's stamp, as far as its values tell it."""
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
    """Give what the metadata of a table tell; None if it is missing, torn or not ours."""
    try:
        return _parse(pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException, ValueError, KeyError):
        return None


def _parse(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    mark = PREFIX.encode()
    texts = {k.removeprefix(mark).decode(): v.decode() for k, v in metadata.items()
             if k.startswith(mark)}  # fmt: skip
    content = {key: text if key in TEXTS else json.loads(text) for key, text in texts.items()
               if key != 'progress_of'}  # fmt: skip
    if content['format'] != FORMAT:
        raise ValueError(f'format is {content["format"]!r}, must be {FORMAT!r}')
    return content


def is_whole(path: Path) -> bool:
    """Tell whether a table of ours can be read."""
    return header(path) is not None


def read_scored(path: Path) -> Scored:
    """
    Read a table of values.

    :raises RecordingError: if it is not one, or is damaged
    """
    try:
        table = pq.read_table(path)
        content = _parse(table.schema.metadata or {})
        missing = [name for name in SCHEMA.names if name not in table.column_names]
        if missing:
            raise ValueError(f'it lacks {", ".join(missing)}')
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        why = f'{type(error).__name__}: {error}'.splitlines()[0]
        raise RecordingError(f'{path} is no table of values ({why}): {SCORE}') from error
    return Scored(path, content, table)


def find_scored(paths: Iterable[Path]) -> list[Path]:
    """
    Give tables as they are, folders by the tables in them and below, in order, each once.

    :raises RecordingError: if a folder has none
    """
    found: list[Path] = []
    for path in paths:
        here = sorted(path.rglob(f'*{VALUES_SUFFIX}')) if path.is_dir() else [path]
        if not here:
            raise RecordingError(f'folder {path} has no *{VALUES_SUFFIX} files: {SCORE}')
        found += here
    return list(dict.fromkeys(found))
