# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Split of recordings into training, validation, calibration and test, and checks for overlap.

Training, calibration and evaluation select their recordings by this split. Overlap is checked by
the content identities of the episodes, so that a copied or renamed recording is found.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from viva_ros.core.errors import CalibrationError, RecordingError
from viva_ros.data.episode import Episode
from viva_ros.data.open import find, inside

TRAIN: Final = 'train'
VALIDATION: Final = 'validation'
CALIBRATION: Final = 'calibration'
TEST: Final = 'test'
PARTS: Final = (TRAIN, VALIDATION, CALIBRATION, TEST)
SHARES: Final = {TRAIN: 0.70, CALIBRATION: 0.15, TEST: 0.15}
VALIDATION_SHARE: Final = 0.08  # of the training recordings
SPLIT_FILE: Final = 'split.json'
NAMED: Final = 5  # recordings in the text of an error

Identities = Mapping[Path, Collection[str]]  # content identities of each recording
Note = Callable[[str], object]


def split(folder: Path) -> dict[str, list[Path]]:
    """
    Return the recordings of a folder by part, see ``PARTS``.

    The split is that of ``split.json`` (file names by part), of the subfolders ``train``,
    ``calibration`` and ``test``, or of the hash of task and seed. Subfolders are included.

    :raises RecordingError: if ``split.json`` cannot be read
    """
    parts = _parts(folder)
    train = parts.get(TRAIN, [])
    held = parts.get(VALIDATION) or [p for p in train if _draw(folder, 'v', p) < VALIDATION_SHARE]
    rest = {part: sorted(parts.get(part, [])) for part in (CALIBRATION, TEST)}
    return {TRAIN: sorted(set(train) - set(held)), VALIDATION: sorted(held), **rest}


def _parts(folder: Path) -> dict[str, list[Path]]:
    listed = folder / SPLIT_FILE
    if listed.is_file():
        try:
            content = json.loads(listed.read_text(encoding='utf-8'))
            return {part: [folder / name for name in names] for part, names in content.items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise RecordingError(
                'split-unreadable', f'{listed} cannot be read ({error}): write it again'
            ) from error
    if is_divided(folder):
        return {part: inside(folder / part) for part in SHARES}
    parts: dict[str, list[Path]] = {part: [] for part in SHARES}
    for path in inside(folder):
        drawn = _draw(folder, 'part', path)
        below = drawn < SHARES[TRAIN] + SHARES[CALIBRATION]
        parts[TRAIN if drawn < SHARES[TRAIN] else CALIBRATION if below else TEST].append(path)
    return parts


def is_divided(folder: Path) -> bool:
    """Return whether a folder has a ``split.json`` or subfolders of parts."""
    return (folder / SPLIT_FILE).is_file() or any((folder / part).is_dir() for part in SHARES)


def _draw(folder: Path, stream: str, path: Path) -> float:
    """Return a number in [0, 1), by subfolder and seed: an episode and its retry have the same."""
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    first = inside.parts[0] if inside.parts else ''  # none if the folder is a recording
    parts = inside.parts[1:-1] if first in SHARES else inside.parts[:-1]
    name = '/'.join([*parts, path.stem.removesuffix('_retry').removesuffix('_joined')])
    digest = hashlib.sha256(f'{stream} {name}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2**64


@dataclass(frozen=True)
class SelectedRecordings:
    """
    Recordings that a command uses.

    :param given: paths on its command line
    :param suited: part that the command should use, one of ``PARTS``; empty for any
    :param option: selects a part, such as '--part'
    """

    recordings: list[Path]
    given: tuple[Path, ...]
    suited: str = ''
    option: str = '--part'

    def refuse(self, overlap: Collection[Path], engine: str) -> None:
        """
        Refuse recordings that an engine was trained on; nothing happens without any.

        :param engine: its name, for the text
        :raises CalibrationError: with the number of recordings, the first of them and a remedy
        """
        if overlap:
            raise CalibrationError(
                'recordings-trained',
                f'{len(overlap)} of {len(self.recordings)} recordings have episodes that {engine} '
                f'was trained on: {_first(overlap)}: {self._remedy(set(overlap))}',
            )

    def _remedy(self, overlap: set[Path]) -> str:
        if self.suited and self._is_split_as_training(overlap):
            return f'select the recordings that training left with {self.option} {self.suited}'
        return 'leave them out, or use other recordings'

    def _is_split_as_training(self, overlap: set[Path]) -> bool:
        """Return whether the split explains the overlap, and leaves the suited part of each."""
        if not all(path.is_dir() for path in self.given):
            return False
        parts = [split(path) for path in self.given]
        learnt = {path for one in parts for part in (TRAIN, VALIDATION) for path in one[part]}
        left = [one[self.suited] for one in parts]
        explained = overlap <= learnt and 2 * len(overlap) > len(learnt)
        return explained and all(left) and set(self.recordings).issuperset(*left)

    def check_untrained(
        self, seen: Identities, trained: Collection[str] | None, engine: str, note: Note
    ) -> None:
        """
        Check that an engine was trained on none of the episodes.

        :param seen: identities by recording
        :param trained: identities of its training and validation episodes; None if unknown
        :param engine: its name, for the text
        :param note: called with a warning if ``trained`` is unknown
        :raises CalibrationError: as ``refuse``
        """
        if trained is None:
            note(
                f'warning: {engine} does not name its training episodes, so whether these '
                'recordings are among them cannot be checked: train and export it again'
            )
            return
        known = frozenset(trained)
        self.refuse([path for path, found in seen.items() if known & set(found)], engine)


def select(
    given: Iterable[Path], part: str | None, suited: str = '', option: str = '--part',
    note: Note = lambda text: None,
) -> SelectedRecordings:  # fmt: skip
    """
    Select the recordings of a part of each folder.

    :param given: folders, and without ``part`` also recordings
    :param part: one of ``PARTS``; None: ``suited`` of a divided folder, all of others
    :param suited: part that the command should use, one of ``PARTS``; empty for any
    :param option: selects a part, for error texts
    :param note: called with a sentence for each folder of which a part is selected
    :raises RecordingError: if a folder has no recordings or none of the part, or if a path with
        ``part`` is a recording
    """
    given = tuple(given)
    found: list[Path] = []
    for path in given:
        everything = find([path])
        wanted = part or (suited if is_divided(path) else '')
        if wanted:
            chosen = _share(path, wanted, option, everything)
            note(f'{path}: {len(chosen)} of {len(everything)} recordings, part {wanted}')
            found += chosen
        else:
            found += everything
    return SelectedRecordings(found, given, suited, option)


def _share(path: Path, part: str, option: str, everything: list[Path]) -> list[Path]:
    if everything == [path]:
        raise RecordingError(
            'part-of-recording',
            f'{path} is a recording, {option} {part} selects from a folder: name its folder, or '
            f'leave out {option}',
        )
    parts = split(path)
    if not parts[part]:
        counts = ', '.join(f'{len(some)} for {name}' for name, some in parts.items())
        raise RecordingError(
            'part-empty',
            f'{path} has no recordings for {part}, but {counts}: select another part with '
            f'{option}, or name another folder',
        )
    return parts[part]


def identities_of(episodes: Iterable[Episode]) -> frozenset[str]:
    """Return the content identities of episodes; those without joint states have none."""
    return frozenset(one for episode in episodes for one in episode.identities)


def check_disjoint(calibrating: Identities, testing: Identities) -> None:
    """
    Check that no test recording has the path or an episode of a calibration recording.

    :raises CalibrationError: with the number of test recordings, and the first of them
    """
    paths = {path.resolve() for path in calibrating}
    known = frozenset(one for found in calibrating.values() for one in found)
    both = [p for p, found in testing.items() if p.resolve() in paths or known & set(found)]
    if both:
        raise CalibrationError(
            'evaluation-overlap',
            f'{len(both)} of {len(testing)} test recordings have episodes of calibration '
            f'recordings: {_first(both)}: leave them out of one of the two',
        )


def _first(paths: Collection[Path]) -> str:
    names = [str(path) for path in sorted(paths)[:NAMED]]
    return ', '.join(names) + (', ...' if len(paths) > NAMED else '')
