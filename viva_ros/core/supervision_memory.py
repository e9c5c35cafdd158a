# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
State of a supervisor that survives the process, in a file.

Retries of the last hour count against the budget of the next process. A required operator stays
required. An episode continues after a short interruption. The steady clock restarts with the
machine, so the file has stamps of the wall clock; if that was set back, a retry counts as just
requested.
"""

import json
import math
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Final

from viva_ros.core.errors import VivaError
from viva_ros.core.events import Event, Level
from viva_ros.core.file_lock import ExclusiveLock
from viva_ros.core.files import write_atomically
from viva_ros.core.json_text import entries, flag, members, number, parse_object, text, whole
from viva_ros.core.regular_file import read_limited
from viva_ros.core.settings import SettingLimits

#: Format 1 has retries only; format 2 has 'latched' as true or false.
FORMATS: Final = ('viva_ros retries 1', 'viva_ros supervision 2', 'viva_ros supervision 3')
HOUR: Final = 3600.0  # s
#: Kinds of event with another name in files that an earlier version wrote.
RENAMED_KINDS: Final = {
    'retry_budget': 'retry_budget_exhausted', 'retry_blocked': 'retry_suppressed',
}  # fmt: skip
EARLIER: Final = 100  # earlier owners that a lock file lists at most
LARGEST_FILE: Final = 1 << 24  # bytes
MOST: Final = 1 << 20  # retries, and characters of a text
LATEST: Final = (1 << 63) - 1  # stamp, ns


@dataclass(frozen=True)
class OpenEpisode:
    """
    An episode that has not ended.

    :param used: retries requested in it
    :param retrying: whether one is requested or accepted and not done
    :param begun: whether the robot has since reported that it does not execute
    """

    id: str
    task: str
    used: int = 0
    retrying: bool = False
    begun: bool = False


@dataclass(frozen=True)
class SupervisionRecord:
    """
    The content of the file.

    :param asked: times of retry requests, wall clock, s
    :param operator: the event that requires an operator; None without one
    :param episode: the episode under way; None without one
    :param latched: the alarm that waits for acknowledgement; None without one
    """

    asked: tuple[float, ...] = ()
    operator: Event | None = None
    episode: OpenEpisode | None = None
    latched: Event | None = None


@dataclass
class SupervisionMemory:
    """
    The file of one supervisor; file and folder are created by the first change.

    :param content: as last read or written
    """

    path: Path
    content: SupervisionRecord = field(default_factory=SupervisionRecord)
    _unwritten: bool = False  # whether the content differs from the file

    def recall(self, now: float, hourly: int) -> SupervisionRecord:
        """
        Read the file; retries older than an hour are left out.

        A file that cannot be read is renamed, and the hourly budget counts as spent.

        :param now: wall clock, s
        :param hourly: retry budget of an hour
        :raises VivaError: if the file exists and cannot be read
        """
        try:
            self.content = _read_record(read_limited(self.path, LARGEST_FILE), now)
            self._unwritten = False
        except FileNotFoundError:
            self.content = SupervisionRecord()
        except (OSError, ValueError, KeyError) as error:
            renamed = self.path.with_suffix('.damaged')
            with suppress(OSError):
                self.path.replace(renamed)
            self.content, self._unwritten = SupervisionRecord((now,) * hourly), True
            raise VivaError(
                'supervision-memory-damaged',
                f'the memory of the supervisor cannot be read from {self.path} ({error!r}): all '
                'retries of the hour count as spent for an hour; the file is kept as '
                f'{renamed.name}',
            ) from error
        return self.content

    def away(self, now: float) -> float:
        """
        Return the time since the last sign of life of a supervisor, s; infinite without a file.

        :param now: wall clock, s
        """
        try:
            age = now - self.path.stat().st_mtime
        except OSError:
            return math.inf
        return age if age >= 0.0 else math.inf

    def keep_alive(self) -> None:
        """
        Update the modification time of the file; call it regularly during an episode.

        :raises OSError: if the file cannot be touched
        """
        if self.content.episode is not None:
            os.utime(self.path)

    def change(self, **changes: Any) -> None:
        """
        Change fields of the ``SupervisionRecord``, and write the file if they differ.

        :raises OSError: if it cannot be written
        """
        content = replace(self.content, **changes)
        if content == self.content and not self._unwritten:
            return
        self.content, self._unwritten = content, True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps(_to_dict(content), indent=1) + '\n')
        self._unwritten = False

    def note_retry(self, now: float) -> None:
        """
        Record that a retry is requested now.

        :param now: wall clock, s
        :raises OSError: if it cannot be written
        """
        recent = [min(at, now) for at in self.content.asked if now - at < HOUR]
        self.change(asked=(*recent, now))


class Lock:
    """
    A file lock that one process of the machine holds; it is free when the process has ended.

    :param path: created with its folder, and kept; lists the owners of the lock
    :param name: of this owner
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._file: IO[str] | None = None
        self._lock: ExclusiveLock | None = None
        self.earlier: Collection[str] = ()  # names of earlier owners

    def take(self) -> bool:
        """
        Acquire or keep the lock; return whether this process holds it.

        :raises OSError: if the file cannot be created or locked
        """
        if self._file is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open('a+', encoding='utf-8', errors='replace')
        try:
            self._lock = ExclusiveLock(file, self._path)
        except BlockingIOError:
            file.close()
            return False
        except OSError:
            file.close()
            raise
        self._file = file
        file.seek(0)
        self.earlier = [one for one in file.read().split() if one != self._name][-EARLIER:]
        with suppress(OSError):  # the lock holds on a full disk too
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), ('\n'.join((*self.earlier, self._name)) + '\n').encode())
        return True

    def free(self) -> None:
        """Release the lock."""
        if self._file is not None and self._lock is not None:
            self._lock.release()
            self._file.close()
            self._file = None


def steady(requested: tuple[float, ...], wall: float, now: float) -> list[float]:
    """Convert wall-clock to steady time, ascending, s; ``wall`` and ``now`` are equal times."""
    return sorted(now - max(0.0, wall - at) for at in requested)


def _to_dict(content: SupervisionRecord) -> dict[str, Any]:
    return {
        'format': FORMATS[-1],
        'asked': list(content.asked),
        'operator': _event_to_dict(content.operator),
        'episode': None if content.episode is None else asdict(content.episode),
        'latched': _event_to_dict(content.latched),
    }


def _event_to_dict(event: Event | None) -> dict[str, Any] | None:
    return None if event is None else {
        'kind': event.kind, 'stamp': event.stamp, 'onset': event.onset,
        'episode': event.episode_id, 'text': event.text,
    }  # fmt: skip


def _read_record(data: bytes, now: float) -> SupervisionRecord:
    """
    Read the content of the file.

    :param now: wall clock, s; later retries count as just requested
    :raises KeyError: if a field is missing
    :raises ValueError: if one has another type, or is out of range
    """
    read = parse_object(data)
    if read['format'] not in FORMATS:
        raise ValueError(f'format is {read["format"]!r}, must be {FORMATS[-1]!r}')
    asked = [number('asked', at, SettingLimits()) for at in entries('asked', read['asked'], MOST)]
    return SupervisionRecord(
        tuple(min(at, now) for at in asked if now - at < HOUR),
        _read_event('operator', read.get('operator'), Level.NEEDS_OPERATOR),
        _read_episode('episode', read.get('episode')),
        _read_event('latched', read.get('latched'), Level.LATCHED),
    )


def _read_event(name: str, read: object, level: Level) -> Event | None:
    if read is None or read is False:
        return None
    if read is True:
        read = {'kind': 'recovered', 'stamp': 0, 'onset': 0, 'episode': '', 'text': 'not known'}
    event = members(name, read)
    kind = text(f'{name}.kind', event['kind'], MOST)
    stamp, onset = (
        whole(f'{name}.{key}', event[key], -LATEST, LATEST) for key in ('stamp', 'onset')
    )
    return Event(
        level, RENAMED_KINDS.get(kind, kind), stamp, onset, math.nan, math.nan, math.nan,
        text(f'{name}.episode', event['episode'], MOST), text(f'{name}.text', event['text'], MOST),
    )  # fmt: skip


def _read_episode(name: str, read: object) -> OpenEpisode | None:
    if read is None:
        return None
    episode = members(name, read)
    return OpenEpisode(
        text(f'{name}.id', episode['id'], MOST), text(f'{name}.task', episode['task'], MOST),
        whole(f'{name}.used', episode['used'], 0, MOST),
        flag(f'{name}.retrying', episode.get('retrying', False)),
        flag(f'{name}.begun', episode.get('begun', False)),
    )  # fmt: skip
