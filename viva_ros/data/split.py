# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Split of recordings into training, validation, calibration and test, and checks for overlap.

Training, calibration and evaluation select their recordings by this split. Overlap is checked by
the content identities of the episodes, so that a copied or renamed recording is found.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from typing import Final

from viva_ros.core.errors import CalibrationError, RecordingError
from viva_ros.core.json_reader import read_json
from viva_ros.data.episode import Episode
from viva_ros.data.open import find, inside
from viva_ros.data.recording import recording_name

TRAIN: Final = 'train'
VALIDATION: Final = 'validation'
CALIBRATION: Final = 'calibration'
TEST: Final = 'test'
PARTS: Final = (TRAIN, VALIDATION, CALIBRATION, TEST)
ALL: Final = 'all'
CHOICES: Final = (*PARTS, ALL)  # of an option that selects a part
SHARES: Final = {TRAIN: 0.70, CALIBRATION: 0.15, TEST: 0.15}
VALIDATION_SHARE: Final = 0.08  # of the training recordings
SPLIT_FILE: Final = 'split.json'
NAMED: Final = 5  # recordings in the text of an error
LEVELS: Final = 3  # folders around the given ones that training may have split
UNTRAINED: Final = 0.1  # share of its part that training may have left out, such as damaged ones

Identities = Mapping[Path, Collection[str]]  # content identities of each recording
Note = Callable[[str], object]


def split(folder: Path, among: Sequence[Path] | None = None) -> dict[str, list[Path]]:
    """
    Return the recordings of a folder by part, see ``PARTS``.

    The split is that of ``split.json`` (file names by part), of subfolders with the names of
    ``PARTS``, or of the hash of task and seed. Subfolders are included. Without validation
    recordings in the first two, a share of the training recordings is drawn by hash. The hash is
    of the path inside the folder, so a subfolder has another split than the same recordings in the
    split of its parent folder.

    :param among: recordings in the folder that are split by hash; None for all
    :raises RecordingError: if ``split.json`` is not a split of recordings in the folder
    """
    parts = _parts(folder, among)
    train = parts.get(TRAIN, [])
    held = parts.get(VALIDATION) or [p for p in train if _draw(folder, 'v', p) < VALIDATION_SHARE]
    rest = {part: sorted(parts.get(part, [])) for part in (CALIBRATION, TEST)}
    return {TRAIN: sorted(set(train) - set(held)), VALIDATION: sorted(held), **rest}


def _parts(folder: Path, among: Sequence[Path] | None) -> dict[str, list[Path]]:
    if (folder / SPLIT_FILE).is_file():
        return _listed(folder)
    if is_divided(folder):
        return {part: inside(folder / part) for part in PARTS}
    parts: dict[str, list[Path]] = {part: [] for part in SHARES}
    for path in inside(folder) if among is None else among:
        drawn = _draw(folder, 'part', path)
        below = drawn < SHARES[TRAIN] + SHARES[CALIBRATION]
        parts[TRAIN if drawn < SHARES[TRAIN] else CALIBRATION if below else TEST].append(path)
    return parts


def _listed(folder: Path) -> dict[str, list[Path]]:
    """
    Return the recordings in ``split.json`` by part.

    :raises RecordingError: if it cannot be read, a part is unknown or no list of names, or a
        recording is missing or occurs twice
    """
    path = folder / SPLIT_FILE
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise RecordingError(
            'split-unreadable', f'{path} cannot be read ({error}): write it again'
        ) from error
    if not isinstance(content, dict) or content.keys() - set(PARTS):
        has = ', '.join(map(str, content)) if isinstance(content, dict) else repr(content)
        raise RecordingError(
            'split-parts',
            f'{path} has {has}, must have lists of file names for some of {", ".join(PARTS)}: '
            'correct it',
        )
    known = set(inside(folder))
    seen: dict[Path, str] = {}
    for part, names in content.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise RecordingError(
                'split-names',
                f'{path} has {names!r} for {part}, must be a list of file names: correct it',
            )
        for name in names:
            if (recording := folder / name) not in known:
                raise RecordingError(
                    'split-recording-missing',
                    f'{path} has {name} for {part}, which is no recording in {folder}: correct '
                    'the name, or take it out',
                )
            if recording in seen:
                raise RecordingError(
                    'split-recording-twice',
                    f'{path} has {name} twice, for {seen[recording]} and for {part}: take one of '
                    'them out',
                )
            seen[recording] = part
    return {part: [folder / name for name in names] for part, names in content.items()}


def is_divided(folder: Path) -> bool:
    """Return whether a folder has a ``split.json`` or subfolders of parts."""
    return (folder / SPLIT_FILE).is_file() or any((folder / part).is_dir() for part in PARTS)


def divided_below(folder: Path, recordings: Iterable[Path]) -> list[Path]:
    """
    Return the subfolders that hold recordings and have a split of their own, sorted.

    The split of the folder does not follow them. With a ``split.json`` of the folder there are
    none, since it names its recordings one by one.
    """
    if (folder / SPLIT_FILE).is_file():
        return []
    between = {
        above for path in recordings for above in path.parents
        if above != folder and above.is_relative_to(folder)
    }  # fmt: skip
    return sorted(above for above in between if is_divided(above))


def _is_hashed(folder: Path) -> bool:
    """
    Return whether training splits a folder by hash.

    It does not split a folder for calibration or test, or for a task of one, such as test/fold.
    """
    whole = folder.absolute()
    return not is_divided(folder) and not {whole.name, whole.parent.name} & {CALIBRATION, TEST}


def _draw(folder: Path, stream: str, path: Path) -> float:
    """Return a number in [0, 1), by subfolder and seed: an episode and its retry have the same."""
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    first = inside.parts[0] if inside.parts else ''  # none if the folder is a recording
    parts = inside.parts[1:-1] if first in PARTS else inside.parts[:-1]
    name = '/'.join([*parts, recording_name(path).removesuffix('_retry').removesuffix('_joined')])
    digest = hashlib.sha256(f'{stream} {name}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2**64


@dataclass(frozen=True)
class SelectedRecordings:
    """
    Recordings that a command uses.

    :param given: paths on its command line
    :param suited: part that the command should use, one of ``PARTS``; empty for any
    :param option: selects a part, such as '--part'
    :param whole: folders of which no part was selected, although training splits them by hash
    :param part: value of the option; None without it
    :param task_option: selects a task, such as '--task'; empty if the command has no such option
    """

    recordings: list[Path]
    given: tuple[Path, ...]
    suited: str = ''
    option: str = '--part'
    whole: tuple[Path, ...] = ()
    part: str | None = None
    task_option: str = ''

    @property
    def caution(self) -> str:
        """Return the condition of a part that was selected by hash; empty if none was."""
        if not self._hashed:
            return ''
        return (
            f'; {self.option} {self.part} is what training left only if training was given '
            f'{first_of(self._hashed)} itself, no folder inside or above it'
        )

    @property
    def _hashed(self) -> list[Path]:
        """Return the folders of which a part was selected by hash."""
        if self.part in (None, ALL):
            return []
        return [path for path in self.given if path.is_dir() and _is_hashed(path)]

    def refuse(self, overlap: Collection[Path], engine: str) -> None:
        """
        Refuse recordings that an engine was trained on; nothing happens without any.

        :param engine: its name, for the text
        :raises CalibrationError: with the number of recordings, the first of them and a remedy
        """
        if overlap:
            remedy = self._remedy(set(overlap), (TRAIN, VALIDATION), 'training')
            raise CalibrationError(
                'recordings-trained',
                f'{len(overlap)} of {len(self.recordings)} recordings have episodes that {engine} '
                f'was trained on: {first_of(overlap)}: {remedy}',
            )

    def _remedy(self, overlap: set[Path], parts: Collection[str], user: str) -> str:
        """Return a text; ``parts`` are those that the split gives to the user, for the text."""
        left = f'select the recordings that {user} left'
        wanted = [part for part in dict.fromkeys((self.suited, CALIBRATION, TEST))
                  if part and part not in parts]  # fmt: skip
        for part in wanted:
            if self._is_left(part, overlap, parts):
                return f'{left} with {self.option} {part}'
        for folder, found in self._splits_above(overlap, parts):
            for part in wanted:
                if found[part]:
                    task = f' and {self.task_option}' if self.task_option else ''
                    return f'{left}: name {folder} with {self.option} {part}{task}'
        others = 'leave them out, or use other recordings'
        return f'{others}, or name the folder that {user} was given' if self._hashed else others

    def _is_left(self, part: str, overlap: set[Path], parts: Collection[str]) -> bool:
        """Return whether the split explains the overlap, and has a part without overlap."""
        if not all(path.is_dir() for path in self.given):
            return False
        found = [split(path) for path in self.given]
        used = {path for one in found for name in parts for path in one[name]}
        left = [one[part] for one in found]
        explained = overlap <= used and 2 * len(overlap) > len(used & set(self.recordings))
        return explained and all(left)

    def _splits_above(
        self, overlap: set[Path], parts: Collection[str]
    ) -> Iterator[tuple[Path, dict[str, list[Path]]]]:
        """
        Yield the folders around those given whose split explains the overlap, the nearest first.

        A hash explains few recordings by chance, so it must also explain those without overlap.
        """
        if not self.given or not all(path.is_dir() for path in self.given):
            return
        known, selected = ({path.absolute() for path in paths}
                           for paths in (overlap, self.recordings))  # fmt: skip
        folder = Path(commonpath([path.absolute() for path in self.given]))
        inside = [path.absolute() for path in find(self.given)]
        for above in [*([folder] if len(self.given) > 1 else []), *folder.parents][:LEVELS]:
            try:
                found = split(above, inside)
            except (RecordingError, OSError):
                continue  # it was not named: a split.json of something else
            used = selected & {path for name in parts for path in found[name]}
            explained = known <= used and len(used) - len(known) <= UNTRAINED * len(used)
            if explained and (used != selected or is_divided(above)):
                yield above, found

    def check_untrained(
        self, seen: Identities, trained: Collection[str] | None, engine: str, note: Note
    ) -> None:
        """
        Check that an engine was trained on none of the episodes.

        :param seen: identities by recording
        :param trained: identities of its training and validation episodes; None if unknown
        :param engine: its name, for the text
        :param note: called with a warning if ``trained`` is unknown
        :raises CalibrationError: as ``refuse`` and ``check_part``
        """
        if trained is None:
            self.check_part(engine)
            note(
                f'warning: {engine} does not name its training episodes, so whether these '
                'recordings are among them cannot be checked: train and export it again'
                f'{self.caution}'
            )
            return
        known = frozenset(trained)
        self.refuse([path for path, found in seen.items() if known & set(found)], engine)

    def check_part(self, engine: str) -> None:
        """
        Check that a part was selected; for an engine whose training episodes are unknown.

        :param engine: its name, for the text
        :raises CalibrationError: if a folder is used whole that training splits by hash
        """
        if self.whole:
            raise CalibrationError(
                'part-required',
                f'{engine} does not name its training episodes, and training splits '
                f'{first_of(self.whole)} by hash: name the folder that training was given and '
                f'select what it left with {self.option} {self.suited or TEST}, or select the '
                f'whole folder with {self.option} {ALL} if the engine was not trained on it',
            )

    def check_uncalibrated(
        self, seen: Identities, used: Mapping[str, Collection[str] | None], note: Note
    ) -> None:
        """
        Check that calibrations were made with none of the episodes.

        :param seen: identities by recording
        :param used: identities of the episodes of each calibration, by its name for the text; None
            if unknown
        :param note: called with one warning if some are unknown
        :raises CalibrationError: with the number of recordings, the first of them and a remedy
        """
        for name, identities in used.items():
            known = frozenset(identities or ())
            overlap = {path for path, found in seen.items() if known & set(found)}
            if overlap:
                remedy = self._remedy(overlap, (CALIBRATION,), 'the calibration')
                raise CalibrationError(
                    'recordings-calibrated',
                    f'{len(overlap)} of {len(self.recordings)} recordings have episodes that '
                    f'{name} was made with: {first_of(overlap)}: {remedy}',
                )
        unknown = [name for name, identities in used.items() if identities is None]
        if unknown:
            note(
                f'warning: {", ".join(unknown)} does not name the episodes that it was made with, '
                'so whether these recordings are among them cannot be checked: run '
                "'viva calibrate' again"
            )


def select(
    given: Iterable[Path], part: str | None, suited: str = '', option: str = '--part',
    note: Note = lambda text: None, task_option: str = '',
) -> SelectedRecordings:  # fmt: skip
    """
    Select the recordings of a part of each folder.

    :param given: folders, and without ``part`` also recordings
    :param part: one of ``CHOICES``; None: ``suited`` of a divided folder, all of others
    :param suited: part that the command should use, one of ``PARTS``; empty for any
    :param option: selects a part, for error texts
    :param note: called with a sentence for each folder of which a part is selected
    :param task_option: selects a task, for error texts; empty if the command has no such option
    :raises RecordingError: if a folder has no recordings or none of the part, or if a path with
        ``part`` is a recording
    """
    given = tuple(given)
    found: list[Path] = []
    whole: list[Path] = []
    for path in given:
        everything = find([path])
        wanted = part or (suited if is_divided(path) else '') or ALL
        if wanted != ALL:
            chosen = _share(path, wanted, option, everything)
            note(f'{path}: {len(chosen)} of {len(everything)} recordings, part {wanted}')
            found += chosen
        else:
            found += everything
            if part is None and everything != [path] and _is_hashed(path):
                whole.append(path)
    return SelectedRecordings(found, given, suited, option, tuple(whole), part, task_option)


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


def contents_of(episodes: Iterable[Episode]) -> frozenset[str]:
    """
    Return the motion and the failure of whole episodes, equal for copies of a recording.

    An imported episode also has those of its recording.
    The failure is that of the label: simulated episodes of one seed can have the same motion with
    different failures. Episodes without joint states have no content.
    """
    return frozenset(
        f'{content} {(one.label and one.label.failure) or "none"}'
        for one in episodes for content in (one.identity, *one.origins[:1]) if content
    )  # fmt: skip


def check_copies(contents: Mapping[Path, Collection[str]]) -> None:
    """
    Check that no recording is a copy of another: a copy is no further episode.

    :param contents: from ``contents_of``, by recording
    :raises CalibrationError: with the number of copies, and the first of them with their originals
    """
    originals: dict[str, Path] = {}
    copies: dict[Path, Path] = {}
    for path, found in contents.items():
        for one in found:
            if originals.setdefault(one, path) != path:
                copies[path] = originals[one]
    if copies:
        each = [f'{path} of {original}' for path, original in list(copies.items())[:NAMED]]
        more = ', ...' if len(copies) > NAMED else ''
        raise CalibrationError(
            'recordings-copied',
            f'{len(copies)} of {len(contents)} recordings are copies: {", ".join(each)}{more}: '
            'leave the copies out',
        )


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
            f'recordings: {first_of(both)}: leave them out of one of the two',
        )


def first_of(paths: Collection[Path | str]) -> str:
    """Return the first NAMED paths, for the text of an error."""
    names = [str(path) for path in sorted(paths)[:NAMED]]
    return ', '.join(names) + (', ...' if len(paths) > NAMED else '')
