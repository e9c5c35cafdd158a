# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of outcomes for an import: an option, a CSV file, a topic, or the recording."""

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
    Sources of the labels of an import; the first that is set is used.

    :param success: of all episodes
    :param table: file to label, from a CSV file; empty for none
    :param topic: of a std_msgs Bool or String; '' for none
    :param task: used if no other source has one
    """

    success: bool | None = None
    table: dict[str, Label] = field(default_factory=dict)
    topic: str = ''
    task: str = ''

    def label(self, episode: RawEpisode, recording: Recording) -> Label:
        """
        Return the label of an episode.

        :raises RecordingError: if no source has an outcome, or none has a task
        """
        found = self._find(episode, recording)
        task = found.task or episode.task or self.task
        if not task:
            raise RecordingError(
                'episode-task-missing',
                'has no task: set --task, "task" in the map, or a column of the CSV file',
            )
        return replace(found, task=task)

    def _find(self, episode: RawEpisode, recording: Recording) -> Label:
        if self.success is not None:
            known = episode.label or Label('', self.success)
            return known if known.success == self.success else Label(known.task, self.success)
        if self.table:
            return self._from_table(episode)
        if self.topic:
            return from_topic(recording, self.topic)
        if episode.label is None:
            raise RecordingError(
                'outcome-missing',
                'has no outcome: set --success, --failure, --labels FILE.csv or "label: {topic: '
                '...}" in the map, or run "viva label"',
            )
        return episode.label

    def _from_table(self, episode: RawEpisode) -> Label:
        source = episode.source
        keys = (str(source), source.name, source.stem, episode.name)
        for key in keys:
            if key in self.table:
                return self.table[key]
        raise RecordingError(
            'table-row-missing',
            f'is not in the CSV file, neither as {keys[1]} nor as {keys[3]}: add a line for it',
        )


def read_table(path: Path) -> dict[str, Label]:
    """
    Read a CSV file with the columns file and success, and optionally failure and task.

    :raises ConfigurationError: with file, line, value and the valid values
    """
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file)
            missing = {'file', 'success'} - set(reader.fieldnames or ())
            if missing:
                raise ConfigurationError(
                    'table-columns',
                    f'{path} lacks column {", ".join(sorted(missing))}, must have '
                    f'{", ".join(COLUMNS[:2])} and may have {", ".join(COLUMNS[2:])}',
                )
            return {row['file']: _row(path, reader.line_num, row) for row in reader}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError('table-unreadable', f'{path} cannot be read ({error})') from error


def _row(path: Path, line: int, row: dict[str, Any]) -> Label:
    success = outcome_at(f'{path}, line {line}', row['success'])
    return Label(row.get('task') or '', success, row.get('failure') or None)


def outcome(text: str | None) -> bool | None:
    """Return the outcome of a word such as 'yes' or 'fail'; None for any other word."""
    word = (text or '').strip().lower()
    return True if word in YES else False if word in NO else None


def outcome_at(where: str, text: str | None) -> bool:
    """
    Return the outcome of a word in a table.

    :param where: file and line, for the error text
    :raises ConfigurationError: if the word has no outcome
    """
    found = outcome(text)
    if found is None:
        raise ConfigurationError(
            'outcome-word',
            f'{where}: success is {text!r}, must be one of {", ".join((*YES, *NO))}',
        )
    return found


def from_topic(recording: Recording, topic: str) -> Label:
    """
    Return the label from the last message of a topic: Bool, or String such as 'failure: slip'.

    :raises RecordingError: if the topic has no such message
    """
    track = recording.tracks.get(topic) or recording.tracks.get(f'/{topic}')
    messages = [message for _, message in track.messages()] if track else []
    last = messages[-1] if messages else None
    if last is None or not hasattr(last, 'data'):
        raise RecordingError(
            'outcome-topic-empty',
            f'has no outcome on topic {topic}: set --labels FILE.csv, or run "viva label"',
        )
    if isinstance(last.data, str):
        word, _, failure = last.data.partition(':')
        success = outcome(word)
        if success is None:
            raise RecordingError(
                'outcome-topic-word',
                f'has {last.data!r} on topic {topic}, must begin with one of '
                f'{", ".join((*YES, *NO))}',
            )
        return Label('', success, failure.strip() or None)
    return Label('', bool(last.data))
