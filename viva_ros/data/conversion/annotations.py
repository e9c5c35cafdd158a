# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where an import takes outcomes from: a flag, a CSV file, a topic, or the recording itself."""

import csv
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.data.conversion.raw_episode import RawEpisode
from viva_ros.data.episode import Label
from viva_ros.data.recording import Recording

YES: Final = ('true', '1', 'yes', 'success')
NO: Final = ('false', '0', 'no', 'failure', 'fail')
COLUMNS: Final = ('file', 'success', 'failure', 'task')


@dataclass(frozen=True)
class Outcomes:
    """
    How an import labels episodes; the first that is given counts.

    :param success: of all
    :param table: file to outcome; empty without a CSV file
    :param topic: of a std_msgs Bool or String; '' is none
    :param task: where nobody else names it
    """

    success: bool | None = None
    table: dict[str, Label] = field(default_factory=dict)
    topic: str = ''
    task: str = ''

    def label(self, take: RawEpisode, recording: Recording) -> Label:
        """
        Return the label of an episode.

        :raises RecordingError: if there is none, or it names no task
        """
        found = self._find(take, recording)
        task = found.task or take.task or self.task
        if not task:
            raise RecordingError(
                'names no task: give --task, "task" in the map, or a column of the CSV file'
            )
        return replace(found, task=task)

    def _find(self, take: RawEpisode, recording: Recording) -> Label:
        if self.success is not None:
            known = take.label or Label('', self.success)
            return known if known.success == self.success else Label(known.task, self.success)
        if self.table:
            return self._from_table(take)
        if self.topic:
            return from_topic(recording, self.topic)
        if take.label is None:
            raise RecordingError(
                'has no outcome: give --success, --failure, --labels FILE.csv, "label: {topic: '
                '...}" in the map, or run "viva label"'
            )
        return take.label

    def _from_table(self, take: RawEpisode) -> Label:
        keys = (str(take.source), take.source.name, take.source.stem, take.name)
        for key in keys:
            if key in self.table:
                return self.table[key]
        raise RecordingError(
            f'is not in the CSV file, neither as {keys[1]} nor as {keys[3]}: add a line for it'
        )


def read_table(path: Path) -> dict[str, Label]:
    """
    Read a CSV file with columns file, success and, if need be, failure and task.

    :raises ConfigurationError: naming file, line, value and what is allowed
    """
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file)
            missing = {'file', 'success'} - set(reader.fieldnames or ())
            if missing:
                raise ConfigurationError(
                    f'{path} lacks column {", ".join(sorted(missing))}, must have '
                    f'{", ".join(COLUMNS[:2])} and may have {", ".join(COLUMNS[2:])}'
                )
            return {row['file']: _row(path, reader.line_num, row) for row in reader}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f'{path} cannot be read ({error})') from error


def _row(path: Path, line: int, row: dict[str, Any]) -> Label:
    success = outcome_at(f'{path}, line {line}', row['success'])
    return Label(row.get('task') or '', success, row.get('failure') or None)


def outcome(text: str | None) -> bool | None:
    """Return the outcome that a word stands for; None if it stands for none."""
    word = (text or '').strip().lower()
    return True if word in YES else False if word in NO else None


def outcome_at(where: str, text: str | None) -> bool:
    """
    Return the outcome that a word of a table stands for.

    :param where: file and line, for the error
    :raises ConfigurationError: if it stands for none
    """
    found = outcome(text)
    if found is None:
        raise ConfigurationError(
            f'{where}: success is {text!r}, must be one of {", ".join((*YES, *NO))}'
        )
    return found


def from_topic(recording: Recording, topic: str) -> Label:
    """
    Return the outcome in the last message of a topic, a Bool, or a String such as 'failure: slip'.

    :raises RecordingError: if nothing was said there, or it cannot be understood
    """
    track = recording.tracks.get(topic) or recording.tracks.get(f'/{topic}')
    said = [message for _, message in track.messages()] if track else []
    last = said[-1] if said else None
    if last is None or not hasattr(last, 'data'):
        raise RecordingError(
            f'has no outcome on topic {topic}: give it by --labels, or run "viva label"'
        )
    if isinstance(last.data, str):
        word, _, failure = last.data.partition(':')
        success = outcome(word)
        if success is None:
            raise RecordingError(
                f'has {last.data!r} on topic {topic}, must begin with one of '
                f'{", ".join((*YES, *NO))}'
            )
        return Label('', success, failure.strip() or None)
    return Label('', bool(last.data))
