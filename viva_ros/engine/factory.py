# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Load an engine: choose the library that runs its folder, and say why.

An engine is for one library, or is a graph that several run. What is compiled for a GPU is never
exchanged for something slower in silence: then loading fails, and says what to do.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from viva_ros.core.errors import EngineError
from viva_ros.engine import manifest as manifests
from viva_ros.engine.api import Engine
from viva_ros.engine.backend import AUTO, BACKENDS, is_installed, kinds

ONNX: Final = 'onnx'
CHECKPOINT: Final = 'model.json'


@dataclass(frozen=True)
class BackendChoice:
    """
    What will run.

    :param kind: of its backend
    :param why: for the log
    """

    kind: str
    why: str


def choose(folder: Path, kind: str = AUTO) -> BackendChoice:
    """
    Choose.

    :param folder: of an engine or a checkpoint
    :param kind: 'auto', or what is asked for
    :raises EngineError: if the folder's description cannot be used
    """
    if kind != AUTO:
        return BackendChoice(kind, 'asked for')
    if not (folder / manifests.MANIFEST).exists() and (folder / CHECKPOINT).exists():
        return BackendChoice('pytorch', 'the folder has a checkpoint, and no exported engine')
    runs = manifests.read(folder).runs
    missing: list[str] = []
    for candidate in runs:
        if is_installed(candidate):
            others = f', {" and ".join(missing)} not installed' if missing else ''
            return BackendChoice(candidate, f'the engine was compared with PyTorch by it{others}')
        missing.append(candidate)
    # None is: the error is to name the library that every robot can have.
    return BackendChoice(ONNX if ONNX in runs else runs[0], 'the engine is for it')


def load(path: Path, task: str, kind: str = 'auto') -> Engine:
    """
    Load an engine folder (engine.json beside its weights) after verifying it.

    :param path: the folder
    :param task: one of the engine's tasks
    :param kind: of a backend; 'auto' takes what the engine is for and can be run here
    :raises EngineError: naming what does not fit and the command that mends it
    """
    if kind not in kinds():
        raise EngineError(f'engine kind is {kind!r}, must be one of {", ".join(kinds())}')
    if not path.is_dir():
        raise EngineError(f"{path} is no folder: name an engine's, or make one ('viva export')")
    choice = choose(path, kind)
    engine = BACKENDS[choice.kind].load(path, task)
    engine.info = replace(engine.info, why=choice.why)
    return engine
