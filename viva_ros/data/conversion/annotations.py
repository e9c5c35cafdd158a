# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sources of outcomes for an import.

A person states outcomes by an option, in a CSV file or with ``viva label``. Recordings have them
in a topic, a column, their path or their metadata. Statements of persons override recorded ones.
Sources of one kind that contradict each other are refused.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Final

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.outcome import (
    agreed,
    likely_columns,
    outcome,
    outcome_at,
    outcome_of_frames,
)
from viva_ros.core.regular_file import open_regular
from viva_ros.data.conversion.raw_episode import RawEpisode
from viva_ros.data.episode import Label, judged
from viva_ros.data.lerobot.layout import FRAME_SUCCESS, SUCCESS
from viva_ros.data.recording import COLUMNS, DOUBT, Recording, recording_name
from viva_ros.robot.topic_map import NO_RULE, LabelRule

TABLE_COLUMNS: Final = ('file', 'success', 'failure', 'task')
NEGATION: Final = re.compile(r'(?:^|[\W_])(?:no|not|non|never|un)[\W_]*$')
REMEDY: Final = 'set --labels FILE.csv, or run "viva label"'


@dataclass(frozen=True)
class Outcomes:
    """
    Sources of the labels of an import.

    :param success: of all episodes
    :param table: file to label, from a CSV file; empty for none
    :param rule: of the map, for recorded outcomes
    :param task: used if no other source has one
    :param roots: folders in which recordings were searched; their paths count from there on
    """

    success: bool | None = None
    table: Mapping[str, Label] = field(default_factory=dict)
    rule: LabelRule = NO_RULE
    task: str = ''
    roots: tuple[Path, ...] = ()

    @cached_property
    def key(self) -> str:
        """Return a text that changes with the sources, not with the folders."""
        return repr((self.success, sorted(self.table.items()), self.rule, self.task))

    def place(self, path: Path) -> str:
        """Return the path of a recording within its root, if the rule asks for it; else ''."""
        asked = self.rule.path_success or self.rule.path_failure
        return place_of(path, self.roots) if asked else ''

    def label(self, episode: RawEpisode, recording: Recording) -> Label:
        """
        Return the label of an episode.

        :raises RecordingError: if sources contradict each other, or none has an outcome or a task
        """
        found = self._stated(episode) or self._recorded(episode, recording)
        found = judged(found, episode.annotation) or found
        task = found.task or episode.task or self.task
        if not task:
            several = f' but {len(episode.tasks)} ({", ".join(episode.tasks)})'
            raise RecordingError(
                'episode-task-missing',
                f'has no task{several if len(episode.tasks) > 1 else ""}: set --task, "task" in '
                'the map, or a column of the CSV file',
            )
        return replace(found, task=task)

    def _stated(self, episode: RawEpisode) -> Label | None:
        """Return the label that persons state; None without a statement."""
        row = self._row(episode) if self.table else None
        annotated = episode.annotation.success if episode.annotation else None
        success, conflict = agreed({
            '--success or --failure': self.success, 'labels.json': annotated,
            'the CSV file': row.success if row else None,
        })  # fmt: skip
        if conflict:
            raise RecordingError(
                'outcome-contradiction', f'{conflict}: correct one of them, or leave it out'
            )
        if success is None:
            return None
        known = episode.label
        if known is None or known.success != success:
            known = Label(known.task if known else '', success)
        if row is None:
            return known
        return replace(known, task=row.task or known.task, failure=row.failure or known.failure)

    def _recorded(self, episode: RawEpisode, recording: Recording) -> Label:
        doubt = recording.metadata.get(DOUBT, {})
        if doubt.get('text') and self.rule == NO_RULE:
            raise RecordingError(
                'outcome-doubtful', f'has no clear outcome ({doubt["text"]}): {REMEDY}'
            )
        place = place_of(recording.path, self.roots)
        stated, own = rule_label(recording, self.rule, place, episode.span), episode.label
        _, conflict = agreed({
            'the source in the map': stated.success if stated else None,
            'its label': own.success if own else None, **doubt.get('known', {}),
        })  # fmt: skip
        if conflict:
            raise RecordingError('outcome-doubtful', f'{conflict}: {REMEDY}')
        if own is not None:
            return replace(own, failure=(stated.failure if stated else None) or own.failure)
        if stated is None:
            raise RecordingError('outcome-missing', _missing(recording))
        return stated

    def _row(self, episode: RawEpisode) -> Label:
        """Return the row of an episode: by its name, or by its path or the end of it."""
        rows = [name for name in self.table if _names(name, episode.source, episode.name)]
        if len(rows) == 1:
            return self.table[rows[0]]
        if rows:
            raise RecordingError(
                'table-rows-several',
                f'is in the CSV file as {" and as ".join(rows)}: delete one of these lines',
            )
        raise RecordingError(
            'table-row-missing',
            f'is not in the CSV file, neither as {episode.source.name} nor as {episode.name}: add '
            'a line for it',
        )


def _names(row: str, source: Path, episode: str = '') -> bool:
    """Return whether a row of a table names a recording, or an episode of it."""
    wanted = PurePosixPath(row).parts
    for path in (source, source.with_name(recording_name(source))):
        if wanted and path.absolute().parts[-len(wanted) :] == wanted:
            return True
    return row == episode


def check_table(table: Mapping[str, Label], paths: Sequence[Path]) -> None:
    """
    Check that each row of a table names at most one recording.

    :raises ConfigurationError: if one names several
    """
    by_end: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        for name in {path.name, recording_name(path)}:
            by_end[name].append(path)
    for row in table:
        named = [path for path in by_end[PurePosixPath(row).name] if _names(row, path)]
        if len(named) > 1:
            raise ConfigurationError(
                'table-row-ambiguous',
                f'{row!r} in the CSV file names {named[0]} and {named[1]}: put the folders before '
                f'it, such as {_distinct(named[0], named[1])}',
            )


def unused_rows(table: Mapping[str, Label], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """
    Return the rows of a table that name no episode of an import.

    :param rows: ``resample.Figures`` as dicts
    """
    names = {(row['name'], Path(row['source'])) for row in rows}
    return [one for one in table if not any(_names(one, path, name) for name, path in names)]


def _distinct(path: Path, other: Path) -> str:
    """Return the end of a path that the other does not have."""
    mine, theirs = path.absolute().parts, other.absolute().parts
    count = next(n for n in range(1, len(mine) + 1) if mine[-n:] != theirs[-n:])
    return '/'.join(mine[-count:])


def _missing(recording: Recording) -> str:
    columns = recording.metadata.get(COLUMNS, {})
    likely = likely_columns(set(columns) - {SUCCESS, FRAME_SUCCESS})  # those were read
    named = f'name the column in the map, such as "label: {{column: {likely[0]}}}", ' if likely \
        else ''  # fmt: skip
    source = 'column: ...' if columns else 'topic: ...'
    return (
        f'has no outcome: {named}set --success, --failure, --labels FILE.csv or "label: '
        f'{{{source}}}" in the map, or run "viva label"'
    )


def read_table(path: Path) -> dict[str, Label]:
    """
    Read a CSV file with the columns file and success, and optionally failure and task.

    :raises ConfigurationError: with file, line, value and the valid values
    """
    try:
        with io.TextIOWrapper(open_regular(path), 'utf-8-sig', newline='') as file:
            reader = csv.DictReader(file)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            twice = [name for name in TABLE_COLUMNS if reader.fieldnames.count(name) > 1]
            if twice:
                raise ConfigurationError(
                    'table-column-twice',
                    f'{path} has column {", ".join(twice)} twice: delete or rename one',
                )
            missing = {'file', 'success'} - set(reader.fieldnames or ())
            if missing:
                raise ConfigurationError(
                    'table-columns',
                    f'{path} lacks column {", ".join(sorted(missing))}, must have '
                    f'{", ".join(TABLE_COLUMNS[:2])} and may have {", ".join(TABLE_COLUMNS[2:])}',
                )
            lines: dict[str, list[int]] = defaultdict(list)
            found = {}
            for cells in reader:
                row = {key: (value or '').strip() for key, value in cells.items() if key}
                lines[row['file']].append(reader.line_num)
                found[row['file']] = _row(path, reader.line_num, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError('table-unreadable', f'{path} cannot be read ({error})') from error
    for name, numbers in lines.items():
        if len(numbers) > 1:
            raise ConfigurationError(
                'table-row-twice',
                f'{path} has {name!r} in lines {", ".join(map(str, numbers))}: delete all but one',
            )
    return found


def _row(path: Path, line: int, row: dict[str, Any]) -> Label:
    success = outcome_at(f'{path}, line {line}', row['success'])
    failure = row.get('failure') or 'none'
    if success and failure != 'none':
        raise ConfigurationError(
            'table-row-failure',
            f'{path}, line {line}: success is {row["success"]!r} and failure is {failure!r}: '
            'clear one of them',
        )
    return Label(row.get('task') or '', success, row.get('failure') or None)


def place_of(path: Path, roots: Sequence[Path]) -> str:
    """Return a path from the name of its root on; its last part if it is in none of them."""
    path = path.absolute()
    for root in roots:
        above = root.absolute().parent
        if path.is_relative_to(above):
            return str(path.relative_to(above))
    return path.name


def rule_label(
    recording: Recording, rule: LabelRule, place: str, span: tuple[int, int]
) -> Label | None:
    """
    Return the label by the rule of a map; None without a rule.

    :param place: path of the recording within its root
    :param span: receive times of the episode, ns
    :raises RecordingError: if a source of the rule has no outcome, or two contradict each other
    """
    found: dict[str, Label] = {}
    if rule.topic:
        found[f'topic {rule.topic}'] = _from_topic(recording, rule, span)
    if rule.column:
        found[f'column {rule.column}'] = Label('', _from_column(recording, rule))
    if rule.path_success or rule.path_failure:
        found['its path'] = Label('', _from_path(place, rule))
    _, conflict = agreed({name: one.success for name, one in found.items()})
    if conflict:
        raise RecordingError('outcome-rule-conflict', f'{conflict}: {REMEDY}')
    return next(iter(found.values()), None)


def _from_topic(recording: Recording, rule: LabelRule, span: tuple[int, int]) -> Label:
    """Return the label from the last message of a topic: Bool, or String as 'failure: slip'."""
    topic = rule.topic
    track = recording.tracks.get(topic) or recording.tracks.get(f'/{topic}')
    received = track.messages() if track else ()
    messages = [message for time, message in received if span[0] <= time < span[1]]
    last = messages[-1] if messages else None
    if last is None or not hasattr(last, 'data'):
        raise RecordingError('outcome-topic-empty', f'has no outcome on topic {topic}: {REMEDY}')
    word, _, failure = last.data.partition(':') if isinstance(last.data, str) else (
        last.data, '', ''
    )  # fmt: skip
    success = outcome(word, rule.words)
    behind = failure.strip().lower()
    doubtful = behind not in ('', 'none') if success else outcome(behind, rule.words) is not None
    if success is None or doubtful:
        raise RecordingError(
            'outcome-topic-word',
            f'has {last.data!r} on topic {topic}, must be one of {rule.words.text}; a failure may '
            f'have its kind behind a colon: {REMEDY}',
        )
    return Label('', success, failure.strip() or None)


def _from_column(recording: Recording, rule: LabelRule) -> bool:
    """Return the outcome of a column of the episode, or of its frames."""
    columns = recording.metadata.get(COLUMNS, {})
    if rule.column not in columns:
        raise RecordingError(
            'outcome-column-missing',
            f'has no column {rule.column}, it has {", ".join(columns) or "none"}: correct '
            '"label" in the map',
        )
    value = columns[rule.column]
    if isinstance(value, list) and len(value) != 1:
        success, reason = outcome_of_frames(rule.column, value, rule.words, rule.frames)
    else:
        success = outcome(value, rule.words)
        reason = f'it has {value!r}, must be one of {rule.words.text}'
    if success is None:
        raise RecordingError(
            'outcome-column-word',
            f'has no outcome in column {rule.column} ({reason}): set its words in the map '
            f'("true", "false" in "label"), or {REMEDY}',
        )
    return success


def _from_path(place: str, rule: LabelRule) -> bool:
    """Return the outcome by the parts of a path that the map names."""
    success = [part for part in rule.path_success if _begins(part, place)]
    failure = [part for part in rule.path_failure if _begins(part, place)]
    if bool(success) == bool(failure):
        named = f'contains {", ".join(success + failure)}' if success else 'contains none of ' \
            f'{", ".join((*rule.path_success, *rule.path_failure))}'  # fmt: skip
        raise RecordingError(
            'outcome-path', f'has no outcome by its path {place}, which {named}: {REMEDY}'
        )
    return bool(success)


def _begins(part: str, place: str) -> bool:
    """
    Return whether a part begins a word of a path, without a negation before it.

    'success' is neither in 'unsuccessful' nor in 'not_success'.
    """
    words = re.finditer(rf'(?<![^\W_]){re.escape(part)}', place)
    return any(not NEGATION.search(place[: word.start()].lower()) for word in words)
