# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Load an engine: choose its backend, with the reason for the log.

An engine is for one backend, or is a graph that several backends run. An engine compiled for a GPU
is never replaced by a slower one: loading fails, with the remedy in the error.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from viva_ros.core.errors import EngineError
from viva_ros.engine.api import Engine
from viva_ros.engine.backend import AUTO, BACKENDS, is_installed, kinds
from viva_ros.engine.manifest import CHECKPOINT_FILE, EngineFolder

ONNX: Final = 'onnx'


@dataclass(frozen=True)
class BackendChoice:
    """
    The backend that runs an engine.

    :param why: reason of the choice, for the log
    """

    kind: str
    why: str


def choose(folder: EngineFolder | Path, kind: str = AUTO) -> BackendChoice:
    """
    Choose the backend of an engine.

    :param folder: of an engine or a checkpoint
    :param kind: of a backend, or 'auto'
    :raises EngineError: if engine.json cannot be used
    """
    if kind != AUTO:
        return BackendChoice(kind, 'requested')
    folder = EngineFolder.of(folder)
    if folder.manifest is None and folder.has(CHECKPOINT_FILE):
        return BackendChoice('pytorch', 'the folder has a checkpoint and no exported engine')
    runs = folder.description.runs
    missing: list[str] = []
    for candidate in runs:
        if is_installed(candidate):
            others = f', {" and ".join(missing)} not installed' if missing else ''
            return BackendChoice(candidate, f'the export was validated with it{others}')
        missing.append(candidate)
    # None is installed: loading fails and names the library that every robot can install.
    return BackendChoice(ONNX if ONNX in runs else runs[0], 'the engine is built for it')


def load(path: Path, task: str, kind: str = 'auto') -> Engine:
    """
    Verify and load an engine folder (engine.json and the files it lists), which is opened once.

    :param task: one of the engine's tasks
    :param kind: of a backend; 'auto' chooses the first installed one that the engine lists
    :raises EngineError: with the cause and the command that fixes it
    """
    if kind not in kinds():
        raise EngineError(
            'engine-kind-unknown', f'engine kind is {kind!r}, must be one of {", ".join(kinds())}'
        )
    if not path.is_dir():
        raise EngineError(
            'engine-folder-missing',
            f"{path} is not a folder: choose an engine folder, or make one with 'viva export'",
        )
    folder = EngineFolder(path)
    choice = choose(folder, kind)
    engine = BACKENDS[choice.kind].load(folder, task)
    folder.close()
    engine.info = replace(engine.info, why=choice.why)
    return engine
