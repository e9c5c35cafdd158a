# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Annotate outcome, milestones and errors of episodes.

Keys, one line each: s success, f failure, m SECONDS [TEXT] milestone, e SECONDS [TEXT] error,
t TASK, n next, b back, u undo, q quit. Each annotation is written at once to labels.json next to
the recordings, which are not changed; import and training read the file.

--write-success writes the outcomes into the files of LeRobot datasets, for other tools.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TextIO

import cv2
import numpy as np
from rich.console import Console

from viva_ros.console.progress import bar
from viva_ros.console.terminal import Terminal
from viva_ros.core.errors import ConfigurationError, InputError, RecordingError, VivaError
from viva_ros.core.observation import Image
from viva_ros.data.episode import Annotation, Episode, Label, Mark, judged, load, save, sidecar
from viva_ros.data.formats import FORMATS
from viva_ros.data.lerobot.layout import FRAME_SUCCESS, INFO, SUCCESS
from viva_ros.data.lerobot.metadata import is_dataset
from viva_ros.data.lerobot.outcome_writer import exclusive, finish, write_outcomes
from viva_ros.data.one_recording import one_recording
from viva_ros.data.open import find, open_recording, resolve
from viva_ros.data.segmentation import episodes_of, stored_label, task_of
from viva_ros.robot.topic_map import NAME, NO_RULE, load_map, map_file

SHADES: Final = ' .:-=+*#%@'
MOMENTS: Final = (0.0, 0.33, 0.67, 1.0)  # share of the episode
ROWS, COLUMNS = 8, 19  # characters; one is about twice as high as it is wide


def strip(episode: Episode) -> str:
    """Return images of the first camera at MOMENTS, side by side as characters."""
    camera = next((c for c, frames in episode.cameras.items() if len(frames.stamps)), None)
    if camera is None:
        return 'no images'
    frames = episode.cameras[camera]
    at = [round(share * (len(frames.stamps) - 1)) for share in MOMENTS]
    try:
        pictures = [characters(frames.images[index]) for index in at]
    except (InputError, RecordingError) as error:
        return f'{camera} cannot be shown: {error}'
    begin = frames.stamps[0]
    heads = [f'{camera} {(frames.stamps[i] - begin) * 1e-9:.1f} s'[:COLUMNS] for i in at]
    lines = [' '.join(head.ljust(COLUMNS) for head in heads)]
    return '\n'.join(lines + [' '.join(row) for row in zip(*pictures, strict=True)])


def characters(image: Image) -> list[str]:
    """Return rows of characters whose density shows the brightness, at full contrast."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA).astype(np.float64)
    low, high = float(small.min()), float(small.max())
    scaled = (small - low) / max(high - low, 1.0) * (len(SHADES) - 1)
    return [''.join(SHADES[int(level)] for level in row) for row in scaled.round()]


KEYS = {'m': 'milestone', 'e': 'error'}
HELP = 's success, f failure, m/e SECONDS [TEXT], t TASK, n next, b back, u undo, q quit'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('viva label', description=__doc__)
    parser.add_argument(
        'recordings', type=Path, nargs='+', help='Datasets, bags, or folders of them'
    )
    parser.add_argument(
        '--unlabelled', action='store_true', help='Only episodes without an outcome'
    )
    parser.add_argument(
        '--write-success', action='store_true',
        help='Ask nothing; write success of episodes and next.success of frames into the files of '
        'LeRobot datasets',
    )  # fmt: skip
    args = parser.parse_args(argv)
    console = Terminal(highlight=False)
    if args.write_success:
        failed = 0
        roots = datasets_in(args.recordings)
        for root in roots:
            try:
                write_success(root, console)
            except RecordingError as error:
                if len(roots) == 1:
                    raise
                failed += 1
                console.print(f'{root}: FAILED: {error}', style='red', soft_wrap=True)
        return 2 if failed else 0
    session = LabelSession(find(args.recordings), args.unlabelled, console)
    session.run(sys.stdin)
    return 2 if session.failed else 0


def datasets_in(paths: Sequence[Path]) -> list[Path]:
    """
    Return the LeRobot datasets at paths and in their folders; of an episode, its dataset.

    :raises ConfigurationError: if a path has none
    """
    found: dict[Path, None] = {}
    for path in paths:
        own = next((one for one in (path, path.parent) if is_dataset(one)), None)
        below = [
            info.parents[1] for info in sorted(path.rglob(INFO) if own is None else ())
            if not any(part.startswith('.') for part in info.relative_to(path).parts)
        ]  # fmt: skip
        if own is None and not below:
            raise ConfigurationError(
                'label-no-dataset',
                f'{path} has no LeRobot dataset, and only their files can hold next.success: '
                'leave --write-success out, or make a dataset with "viva import"',
            )
        found |= dict.fromkeys(below if own is None else [own])
    return list(found)


def write_success(root: Path, console: Console) -> None:
    """
    Write the outcomes of the episodes of a dataset into its files.

    :raises RecordingError: if an episode has no outcome, or the dataset cannot be read or written
    """
    with exclusive(root):
        finish(root)
        paths = find([root])
        labels: dict[int, Label] = {}
        refused = []
        for path in bar(paths, 'reading', len(paths)):
            try:
                with one_recording(path):
                    label = label_of(path)
                    if label is not None:
                        labels[resolve(path).index] = label
            except RecordingError as error:
                refused.append(str(error))
        if refused:
            raise RecordingError(
                'label-unreadable-episodes',
                f'no outcome is written: {len(refused)} of {len(paths)} episodes cannot be read: '
                f'{"; ".join(refused)}',
            )
        count = write_outcomes(root, labels, lambda files, what: bar(files, what, len(files)))
    console.print(
        f'{root}: outcomes of {len(labels)} episodes are in success and next.success; '
        f'{count} files changed', soft_wrap=True,
    )  # fmt: skip


def label_of(path: Path) -> Label | None:
    """
    Return the label of an episode of a dataset, as all readers see it; None without an outcome.

    :raises ConfigurationError: if the rule of a map gives another outcome after it is written
    """
    recording = open_recording(path)
    label = next((one.label for one in episodes_of(recording)), None)
    file = map_file(path, FORMATS['lerobot'].folders_up)
    rule = load_map(file).label if file else NO_RULE
    if label is None or rule == NO_RULE:
        return label
    words = {True: rule.words.true, False: rule.words.false}
    if rule.column in (SUCCESS, FRAME_SUCCESS) and not (rule.path_success or rule.topic):
        agrees = all(str(one).lower() in words[one] for one in (True, False))
    else:
        recorded = stored_label(recording)
        agrees = recorded is not None and recorded.success == label.success
    if not agrees:
        raise ConfigurationError(
            'label-rule-differs',
            f'"label" of {NAME} would contradict the outcome of {path}, '
            f'{"success" if label.success else "failure"}, after it is written: remove "label" '
            'from the map when all episodes are annotated, or correct it',
        )
    return label


@dataclass(frozen=True)
class Step:
    """
    An annotation that can be undone.

    :param before: annotation in the file before; None without one
    :param index: index of the recording
    """

    path: Path
    name: str
    before: Annotation | None
    index: int


@dataclass
class LabelSession:
    """
    Annotates recordings in sequence.

    :param only_new: skip episodes that have an outcome
    :param index: index of the current recording
    :param failed: recordings that could not be read
    """

    paths: Sequence[Path]
    only_new: bool
    console: Console
    index: int = 0
    steps: list[Step] = field(default_factory=list)
    failed: list[Path] = field(default_factory=list)

    def run(self, answers: TextIO) -> None:
        """Show the episodes in sequence, and read lines until the end of the input or 'q'."""
        lines = self._lines(answers)
        while self.index < len(self.paths):
            episodes = self._open(self.paths[self.index])
            for episode in episodes:
                if self.only_new and episode.label is not None:
                    continue
                if not self._ask(episode, lines):
                    return
                if self._moved:
                    break
            self.index += 0 if self._moved else 1
        self.console.print('no more episodes')

    def _lines(self, answers: TextIO) -> Iterator[str]:
        while True:
            if answers.isatty():
                self.console.print('> ', end='')
            line = answers.readline()
            if not line:
                return
            yield line.strip()

    def _open(self, path: Path) -> list[Episode]:
        self._moved = False
        try:
            with one_recording(path):
                recording = open_recording(path)
                self._task = task_of(recording)
                return episodes_of(recording)
        except VivaError as error:
            self.failed.append(path)
            self.console.print(f'{path}: FAILED: {error}', style='red', soft_wrap=True)
            return []

    def _ask(self, episode: Episode, lines: Iterator[str]) -> bool:
        """Read annotations of one episode; return False to quit."""
        recording = self.paths[self.index]
        path = sidecar(recording)
        try:
            with one_recording(recording):
                head, pictures = self._head(episode), strip(episode)
        except VivaError as error:
            self.failed.append(recording)
            self.console.print(f'{recording}: FAILED: {error}', style='red', soft_wrap=True)
            return True
        self.console.print(head, soft_wrap=True)
        self.console.print(pictures, soft_wrap=True)
        for line in lines:
            key, _, rest = line.partition(' ')
            if key == 'q':
                return False
            if key == 'n':
                return True
            if key in ('b', 'u'):
                if self._back(key):
                    return True
                continue
            if self._store(path, episode, key, rest.strip()) and key in ('s', 'f'):
                return True
        return False  # the input has ended

    def _back(self, key: str) -> bool:
        """Go back one recording ('b'), or undo the last annotation and go to its recording."""
        if key == 'b':
            self.index, self._moved = max(0, self.index - 1), True
            return True
        if not self.steps:
            self.console.print('nothing to undo')
            return False
        step = self.steps.pop()
        verdicts = load(step.path)
        verdicts.pop(step.name, None)
        if step.before is not None:
            verdicts[step.name] = step.before
        save(step.path, verdicts)
        self.console.print(f'undone: {step.name}')
        self.index, self._moved = step.index, True
        return True

    def _store(self, path: Path, episode: Episode, key: str, rest: str) -> bool:
        verdicts = load(path)
        before = verdicts.get(episode.name)
        try:
            after = answer(before or Annotation(), key, rest, duration(episode))
        except ValueError as error:
            self.console.print(f'{error}', style='red')
            return False
        verdicts[episode.name] = after
        save(path, verdicts)
        self.steps.append(Step(path, episode.name, before, self.index))
        label = judged(episode.label, after, self._task)
        self.console.print(f'  {describe(label, after)}', soft_wrap=True)
        if label is not None and not label.task:
            self.console.print(
                '  the episode has no task: set it with t TASK, or with viva import --task'
            )
        return True

    def _head(self, episode: Episode) -> str:
        cameras = ', '.join(
            f'{name} {size(episode, name)}, {len(frames.stamps)} frames'
            for name, frames in episode.cameras.items()
        )
        return (
            f'\n{self.index + 1} of {len(self.paths)}: {episode.name}, '
            f'{duration(episode):.1f} s; {cameras}; {len(episode.joints.names)} joints\n'
            f'  {describe(episode.label, None)}\n  {HELP}'
        )


def answer(verdict: Annotation, key: str, rest: str, length: float) -> Annotation:
    """
    Return the annotation after one key.

    :param key: see HELP
    :param rest: rest of the line
    :param length: duration of the episode, s
    :raises ValueError: if the key is unknown, naming the valid keys
    """
    if key in ('s', 'f') and not rest:
        return replace(verdict, success=key == 's')
    if key == 't' and rest:
        return replace(verdict, task=rest)
    if key in KEYS:
        time, _, text = rest.partition(' ')
        mark = Mark(KEYS[key], _seconds(time, length), text.strip())
        marks = sorted([*verdict.marks, mark], key=lambda one: one.time)
        return replace(verdict, marks=tuple(marks))
    raise ValueError(f'{f"{key} {rest}".strip()!r} is unknown, must be one of: {HELP}')


def _seconds(text: str, length: float) -> float:
    try:
        time = float(text)
    except ValueError:
        time = math.nan
    if not 0.0 <= time <= length:
        raise ValueError(f'time is {text!r}, must be seconds from 0 to {length:.1f}')
    return time


def duration(episode: Episode) -> float:
    """Return the time from the first frame of any camera to the last, s."""
    known = [frames.stamps for frames in episode.cameras.values() if frames.stamps.size]
    if not known:
        return 0.0
    return (max(int(s[-1]) for s in known) - min(int(s[0]) for s in known)) * 1e-9


def size(episode: Episode, camera: str) -> str:
    """Return the image size of a camera as text."""
    images = episode.cameras[camera].images
    if not len(images):
        return 'empty'
    try:
        height, width = images[0].shape[:2]
    except (InputError, RecordingError):
        return 'damaged'
    return f'{width}x{height}'


def describe(label: Label | None, verdict: Annotation | None) -> str:
    """Return outcome, failure, task and marks of an episode as text."""
    marks = label.marks if label else verdict.marks if verdict else ()
    events = [f'{mark.kind} at {mark.time:.1f} s {mark.text}'.rstrip() for mark in marks]
    if label is None:
        return '; '.join(['no outcome', *events])
    outcome = 'success' if label.success else 'failure'
    why = f' ({label.failure})' if label.failure not in (None, 'none') else ''
    return '; '.join([f'{outcome}{why}, task {label.task}', *events])
