# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The folder of an engine: opened once, verified by ``engine.json``, read through its descriptor.

``engine.json`` lists every file that decides, with size and SHA-256. No library gets a byte that
is not in this list: a file that was changed, exchanged or added, or that other users can write, is
refused. All readers of engines, checkpoints that run as engines, and calibrations come here.
"""

import fcntl
import hashlib
import math
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from viva_ros.core.detection.thresholds import (
    LARGEST_FILE,
    Calibration,
    parse_file,
    unreadable,
)
from viva_ros.core.errors import CalibrationError, EngineError, VivaError
from viva_ros.core.file_lock import NO_FLOCK
from viva_ros.core.files import write_atomically
from viva_ros.core.json_text import entries, members, parse_object, text
from viva_ros.core.trusted_files import OpenFile, OpenFolder, writers
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.backend import BACKENDS
from viva_ros.engine.manifest_schema import (
    CHECKPOINT,
    CHECKSUM,
    FIRST_FORMAT,
    FLOAT32,
    FORMAT,
    GRAPH,
    LARGEST_DIFFERENCE,
    MANIFEST,
    MOST,
    ONNX,
    ListedFile,
    Manifest,
    checksum,
    fingerprint,
    parse,
)
from viva_ros.engine.onnx_external import external_files

__all__ = [
    'CHECKPOINT', 'FLOAT32', 'FORMAT', 'GRAPH', 'LARGEST_DIFFERENCE', 'MANIFEST', 'ONNX',
    'Manifest', 'checksum', 'fingerprint',
]  # fmt: skip

AGAIN: Final = "make it with 'viva export', or fetch it again"
CHECKPOINT_FILE: Final = 'model.json'  # in a folder with a checkpoint alone
WEIGHTS_FILE: Final = 'model.safetensors'
IDENTITIES: Final = 'episode_identities'  # key in the provenance of the training
LARGEST_GRAPH: Final = (1 << 31) - 1  # bytes of an ONNX file, by its format
MOST_EPISODES: Final = 10_000_000  # of a training
#: Names of files that a reader of this package or a library may take.
DECIDES: Final = re.compile(
    r'engine\.(onnx|plan)|model\.json|calibration_.*\.json'
    r'|[^.].*\.(onnx|plan|safetensors|data|onnx_data|bin|pt|pth)'
)
CALIBRATION: Final = re.compile(r'calibration_.*\.json')


def check_building_place(folder: Path) -> None:
    """
    Refuse to build where other users can write, even in a sticky folder: files can be exchanged.

    :param folder: need not exist
    :raises EngineError: with the folder that others can write
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    status = place.stat()
    if by := writers(status):
        raise EngineError(
            'build-folder-writable',
            f'{place} is writable by {by}, no engine is built there: use a folder of your own, '
            f"such as '~/engines/{folder.name}'",
        )


class EngineFolder:
    """
    The folder of an engine, or of a checkpoint that runs as one.

    :param path: of the folder
    :ivar manifest: its description; None for a checkpoint alone
    :raises EngineError: if the folder is missing, its description cannot be used, or it has a file
        that decides and is not listed
    :raises UntrustedError: if other users can write or exchange something
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._folder = OpenFolder(path)
        except OSError as error:
            raise EngineError(
                'engine-folder-unreadable', f'{path} cannot be opened ({error.strerror}): {AGAIN}'
            ) from error
        self.manifest = self._read_manifest() if self._folder.has(MANIFEST) else None
        if self.manifest is not None:
            self._check_all_listed(self.manifest)

    @classmethod
    def of(cls, folder: 'EngineFolder | Path') -> 'EngineFolder':
        """Return an open folder, or open it."""
        return folder if isinstance(folder, EngineFolder) else cls(folder)

    @property
    def description(self) -> Manifest:
        """
        Return the description.

        :raises EngineError: if there is none
        """
        if self.manifest is None:
            raise self._missing(MANIFEST)
        return self.manifest

    def has(self, name: str) -> bool:
        """Return whether there is an entry with a name."""
        return self._folder.has(name)

    def open(self, name: str) -> OpenFile:
        """
        Open a file whose size and SHA-256 are those of the list, for libraries that take a path.

        :raises EngineError: if it is missing, not listed, or another one
        :raises UntrustedError: if it is no regular file, or other users can write it
        """
        file = self._open(name)
        self._check(name, file)
        return file

    def read(self, name: str, largest: int = MOST) -> bytes:
        """
        Return the content of a file; its size and SHA-256 are those of the list.

        :param largest: size, bytes
        :raises EngineError: see ``open``
        """
        file = self._open(name)
        content = file.read(min(largest, self._listed_size(name, file)))
        self._check(name, file)
        file.close()
        return content

    def present(self, name: str) -> str:
        """Return the SHA-256 of a file that is there and in the list; '' if it is not."""
        try:
            return self.open(name).sha256
        except EngineError:
            return ''

    def close(self) -> None:
        """Close it; its files stay open."""
        self._folder.close()

    def _open(self, name: str) -> OpenFile:
        try:
            return self._folder.open(name)
        except FileNotFoundError as error:
            raise self._missing(name) from error
        except OSError as error:
            raise EngineError(
                'engine-file-unreadable', f'{self.path / name} cannot be read ({error}): {AGAIN}'
            ) from error

    def _missing(self, name: str) -> EngineError:
        return EngineError('engine-file-missing', f'{self.path / name} is missing: {AGAIN}')

    def _listed(self, name: str) -> ListedFile | None:
        """Return the entry of a file; None for a checkpoint alone, which has no list."""
        if self.manifest is None or name == MANIFEST:
            return None
        if name not in self.manifest.files:
            raise self._unlisted([name])
        return self.manifest.files[name]

    def _listed_size(self, name: str, file: OpenFile) -> int:
        """Return the size of a file that may be read; another one would be hashed for nothing."""
        listed = self._listed(name)
        if listed and not listed.before and file.size != listed.size:
            raise self._other(name, f'{file.size} bytes', f'{listed.size} bytes')
        _check_largest(file)
        return file.size

    def _check(self, name: str, file: OpenFile) -> None:
        self._listed_size(name, file)
        listed = self._listed(name)
        if listed and file.sha256 not in (listed.sha256, listed.before):
            found, expected = (f'SHA-256 {one[:12]}..' for one in (file.sha256, listed.sha256))
            raise self._other(name, found, expected)

    def _other(self, name: str, found: str, expected: str) -> EngineError:
        remedy = AGAIN
        if CALIBRATION.fullmatch(name):
            remedy = f"run 'viva calibrate', or, if the change is yours, {self._stamp}"
        return EngineError(
            'engine-hash',
            f'{self.path / name} has {found}, must be {expected} by {MANIFEST}: {remedy}',
        )

    @property
    def _stamp(self) -> str:
        return f"'viva stamp {shlex.quote(str(self.path))}'"

    def _unlisted(self, names: Sequence[str]) -> EngineError:
        return EngineError(
            'engine-file-unlisted',
            f'{self.path} has {", ".join(names)}, which {MANIFEST} does not list: check the '
            f'origin, then run {self._stamp}, or move {"it" if len(names) == 1 else "them"} away',
        )

    def _check_all_listed(self, manifest: Manifest) -> None:
        found = [n for n in self._folder.names() if DECIDES.fullmatch(n)]
        if others := [name for name in found if name not in manifest.files]:
            raise self._unlisted(others)

    def _read_manifest(self) -> Manifest:
        content = read_content(self._open(MANIFEST))
        path = self.path / MANIFEST
        if format_of(content) == FIRST_FORMAT:
            raise EngineError(
                'engine-format-first',
                f'{path} has format {FIRST_FORMAT}, which does not list the files of the engine, '
                f'must be {FORMAT}: check its origin, then run {self._stamp}',
            )
        manifest = checked(path, content)
        check_fingerprint(path, manifest)
        return manifest


def read_content(file: OpenFile) -> dict[str, Any]:
    """
    Return the JSON object of an engine.json of any format.

    :raises EngineError: if it is none
    """
    try:
        return parse_object(file.read(LARGEST_FILE))
    except (OSError, ValueError) as error:
        raise EngineError(
            'engine-json-text', f'{file.place} cannot be read ({error}): {AGAIN}'
        ) from error


def format_of(content: Mapping[str, Any]) -> int:
    """Return the format of a description; 0 if it is no whole number."""
    found = content.get('format')
    return found if type(found) is int else 0


def checked(path: Path, content: Mapping[str, Any], is_first: bool = False) -> Manifest:
    """
    Build a description and compare its checksum.

    :param path: of the file, for errors
    :param is_first: whether it has the first format, whose earliest files lack the checksum
    :raises EngineError: if it was changed, has another format, or a field is out of range
    """
    if format_of(content) != (FIRST_FORMAT if is_first else FORMAT):
        raise EngineError(
            'engine-format',
            f'{path} has format {content.get("format")!r}, must be {FORMAT}: {AGAIN}',
        )
    fields = dict(content)
    stored = fields.pop(CHECKSUM, None)
    if stored != checksum(content) and not (is_first and stored is None):
        what = 'has no checksum' if stored is None else 'was changed after it was written'
        raise EngineError('engine-json-changed', f'{path} {what}: {AGAIN}')
    try:
        return parse(fields)
    except (ValueError, TypeError, KeyError) as error:
        raise EngineError(
            'engine-json-invalid', f'{path} is invalid ({error}): {AGAIN}'
        ) from error


def read_manifest(folder: EngineFolder | Path) -> Manifest:
    """
    Return the description of the engine in a folder.

    :raises EngineError: see ``EngineFolder``; or if there is none
    """
    return EngineFolder.of(folder).description


def trained_episodes(folder: Path) -> frozenset[str] | None:
    """
    Return the content identities of the episodes that an engine or checkpoint was trained on.

    :returns: of training and validation; None if its provenance lacks them, as earlier ones do
    :raises EngineError: if engine.json or model.json cannot be used
    """
    if not folder.is_dir():
        return None
    opened = EngineFolder(folder)
    if opened.manifest is not None:
        training = opened.manifest.provenance.get('training')
    elif opened.has(CHECKPOINT_FILE):
        training = _read_checkpoint(opened).get('provenance')
    else:
        training = None
    try:
        return _identities(training)
    except ValueError as error:
        raise EngineError(
            'training-identities-invalid',
            f'{folder} names its training episodes in an invalid way ({error}): {AGAIN}',
        ) from error


def _identities(training: object) -> frozenset[str] | None:
    """
    Return the identities in the provenance of a training; None if it lacks them.

    A text in the place of a list would be read as characters, and no episode be recognised.

    :raises ValueError: if they are no lists of texts
    """
    if not isinstance(training, Mapping) or training.get(IDENTITIES) is None:
        return None
    parts = members(IDENTITIES, training[IDENTITIES])
    return frozenset(
        text(f'{IDENTITIES}.{part}', one)
        for part, some in parts.items()
        for one in entries(f'{IDENTITIES}.{part}', some, MOST_EPISODES)
    ) - {''}


def _read_checkpoint(folder: EngineFolder) -> dict[str, Any]:
    try:
        return parse_object(folder.read(CHECKPOINT_FILE, LARGEST_FILE))
    except ValueError as error:
        raise EngineError(
            'model-json-invalid',
            f'{folder.path / CHECKPOINT_FILE} cannot be read ({error}): fetch the folder again',
        ) from error


def named(folder: Path) -> str:
    """
    Return the fingerprint of the engine in a folder; '' if it holds a checkpoint alone.

    :raises EngineError: if engine.json cannot be used
    """
    if not folder.is_dir():
        return ''
    manifest = EngineFolder(folder).manifest
    return manifest.fingerprint if manifest is not None else ''


def read_calibration(path: Path) -> Calibration:
    """
    Read a calibration file; in the folder of an engine it must be in the list.

    :raises CalibrationError: if it is missing or invalid
    :raises EngineError: if the engine of its folder is refused, or it is not the listed file
    :raises UntrustedError: if other users can write or exchange it
    """
    try:
        if not path.parent.is_dir():
            raise FileNotFoundError(2, os.strerror(2))
        folder = EngineFolder(path.parent)
        if not folder.has(path.name):
            raise FileNotFoundError(2, os.strerror(2))
    except FileNotFoundError as error:
        raise unreadable(path, error) from error
    return parse_file(folder.read(path.name, LARGEST_FILE), path)


def save_calibration(made: Calibration, path: Path) -> None:
    """
    Write a calibration file; in the folder of an engine, also its entry of the list.

    The entry names the new and the old content before the file is replaced, and the new one alone
    afterwards: a process that is killed at any point leaves a folder that is accepted.

    :raises EngineError: if the engine of the folder is refused
    :raises CalibrationError: if the name is that of another file of the engine
    """
    data = made.to_json().encode()
    if not (path.parent / MANIFEST).exists():
        write_atomically(path, data)
        return
    with _locked(path.parent):
        folder = EngineFolder(path.parent)
        manifest, name = folder.description, path.name
        if name == MANIFEST or (name in manifest.files and DECIDES.fullmatch(name)
                                and not CALIBRATION.fullmatch(name)):  # fmt: skip
            raise CalibrationError(
                'calibration-name',
                f'{path} is a file of the engine itself: choose another --out',
            )
        before = folder.present(name)
        entry = ListedFile(len(data), hashlib.sha256(data).hexdigest(), before)
        _write_entry(path, manifest, entry)
        write_atomically(path, data)
        if before:
            _write_entry(path, manifest, replace(entry, before=''))


def _write_entry(path: Path, manifest: Manifest, entry: ListedFile) -> None:
    changed = replace(manifest, files={**manifest.files, path.name: entry})
    write_atomically(path.parent / MANIFEST, changed.to_json())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process changes the list, on file systems with locks."""
    opened = OpenFolder(folder)
    try:
        try:
            fcntl.flock(opened.descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_FLOCK:
                raise
        yield
    finally:
        opened.close()


def write_manifest(
    folder: Path, manifest: Manifest, others: Mapping[str, ListedFile] | None = None
) -> Manifest:
    """
    Write ``engine.json`` with the list of all files in the folder; call it after these.

    :param others: entries of files that are in the final folder
    :returns: the description with its list
    """
    opened = OpenFolder(folder, is_trusted=False)
    made = replace(manifest, files={**(others or {}), **_list(opened, manifest)})
    write_atomically(folder / MANIFEST, made.to_json())
    return made


def _check_largest(file: OpenFile) -> None:
    """Check that a file is not of a size that is hashed for hours."""
    if file.size > MOST:
        raise EngineError(
            'engine-file-size',
            f'{file.place} has {file.size} bytes, must have at most {MOST}: fetch it again, or '
            'move it out of the folder',
        )


def _list(folder: OpenFolder, manifest: Manifest) -> dict[str, ListedFile]:
    """Return the entries of all files in a folder that decide."""
    names = {name for name in folder.names() if DECIDES.fullmatch(name)}
    if Path(manifest.file).name == manifest.file and folder.has(manifest.file):
        names.add(manifest.file)
        if manifest.kind in BACKENDS and BACKENDS[manifest.kind].runs_onnx:
            content = folder.open(manifest.file).read(LARGEST_GRAPH)
            external = external_files(content, is_loaded=False)
            names |= {name for name in external if folder.has(name)}
    found = {}
    for name in sorted(names - {MANIFEST}):
        file = folder.open(name)
        _check_largest(file)
        found[name] = ListedFile(file.size, file.sha256)
        file.close()
    return found


def stamp(path: Path) -> Manifest:
    """
    List all files of an engine in its ``engine.json``; graph, weights and fingerprint must fit.

    :returns: the description as written
    :raises EngineError: if the folder has no engine, or the engine was changed
    :raises CalibrationError: if a calibration in the folder is not for this engine
    """
    with _locked(path):
        folder = OpenFolder(path)
        if not folder.has(MANIFEST):
            raise EngineError(
                'stamp-no-engine', f'{path} has no {MANIFEST}: name the folder of an engine'
            )
        content = read_content(folder.open(MANIFEST))
        is_first = format_of(content) == FIRST_FORMAT
        manifest = checked(path / MANIFEST, content, is_first)
        check_fingerprint(path / MANIFEST, manifest)
        files = _list(folder, manifest)
        expected = {manifest.file: manifest.sha256}
        if manifest.weights and WEIGHTS_FILE in files:
            expected.setdefault(WEIGHTS_FILE, manifest.weights)
        for name, digest in expected.items():
            if name not in files or files[name].sha256 != digest:
                raise EngineError(
                    'stamp-changed',
                    f'{path / name} is not the file that {MANIFEST} was written for: {AGAIN}',
                )
        for name in filter(CALIBRATION.fullmatch, files):
            _check_own(path / name, folder.open(name), manifest)
        made = replace(manifest, files=files)
        write_atomically(path / MANIFEST, made.to_json())
    return made


def _check_own(path: Path, file: OpenFile, manifest: Manifest) -> None:
    """Check that a calibration is valid and for an engine."""
    try:
        made = parse_file(file.read(LARGEST_FILE), path)
        if made.engine != manifest.fingerprint:
            raise ValueError(f'it is for engine {made.engine}, not {manifest.fingerprint}')
    except (VivaError, ValueError) as error:
        raise CalibrationError(
            'stamp-calibration',
            f'{path} cannot be listed ({error}): move it out of the folder, run viva stamp again, '
            "then 'viva calibrate'",
        ) from error


def check_fingerprint(path: Path, manifest: Manifest) -> None:
    """
    Check that the fingerprint is that of checkpoint and graph, so that no graph is exchanged.

    :raises EngineError: if it is not
    """
    checkpoint = manifest.provenance.get(CHECKPOINT)  # absent in the first version
    if checkpoint is None:
        return
    expected = fingerprint(str(checkpoint), manifest.sha256, manifest.seam)
    if manifest.fingerprint != expected:
        raise EngineError(
            'engine-fingerprint',
            f'{path} has fingerprint {manifest.fingerprint!r}, must be {expected!r} by checkpoint '
            f'and graph: {AGAIN}',
        )


def info_of(manifest: Manifest, kind: str, library: str = '', device: str = 'CPU') -> EngineInfo:
    """Return the description of a loaded engine."""
    return EngineInfo(
        manifest.cameras, manifest.ranges.names, manifest.horizon, manifest.image_size,
        manifest.tasks, manifest.fingerprint, kind, library, device,
    )  # fmt: skip


def read_graph(folder: EngineFolder, largest: int = MOST) -> bytes:
    """
    Return the verified file that the backend loads.

    :param largest: size, bytes
    :raises EngineError: if it is missing or was changed
    :raises UntrustedError: if it is larger
    """
    return folder.read(folder.description.file, largest)


def check_kind(folder: Path, manifest: Manifest, kind: str) -> None:
    """
    Check that a backend can run an engine.

    :param kind: of the backend
    :raises EngineError: with the command that exports an engine for it
    """
    if manifest.kind == kind or all(BACKENDS[one].runs_onnx for one in (kind, manifest.kind)):
        return
    raise EngineError(
        'engine-kind',
        f'{folder} is an engine for {manifest.kind}, not for {kind}: set engine_kind to auto, or '
        f"run 'viva export {folder} --engine {kind} --out DIR --recordings DIR'",
    )


def check_task(tasks: Sequence[str], task: str) -> int:
    """
    Return the index of a task.

    :param tasks: of the engine
    :raises EngineError: with the tasks of the engine
    """
    if task not in tasks:
        known = ', '.join(repr(name) for name in tasks)
        raise EngineError(
            'task-unknown',
            f'task is {task!r}, must be one of {known}: set the parameter task of the monitor, or '
            'the option --task of a command',
        )
    return tasks.index(task)


def check_parity(manifest: Manifest) -> None:
    """
    Check that the engine was measured against PyTorch, and differs little.

    :raises EngineError: with the difference
    """
    if math.isnan(manifest.parity):
        raise EngineError(
            'engine-unmeasured',
            'engine was built ahead and never compared with PyTorch: run '
            "'viva export FOLDER --measure --recordings DIR' on its target machine",
        )
    if not manifest.parity <= LARGEST_DIFFERENCE:
        raise EngineError(
            'engine-parity',
            f'engine differs from PyTorch by {manifest.parity:.3g} in value, at most '
            f'{LARGEST_DIFFERENCE} is allowed: {AGAIN}',
        )
