# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Which library runs an engine's folder, and why.

An engine is for one library, or is a graph that several run. What is compiled for a GPU is never
exchanged for something slower in silence: then loading fails, and says what to do.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from viva_ros.engine import manifest as manifests

MODULES: Final = {
    'onnx': 'onnxruntime', 'openvino': 'openvino', 'pytorch': 'torch', 'tensorrt': 'tensorrt',
    'tensorrt_rtx': 'tensorrt_rtx',
}  # fmt: skip
ONNX: Final = 'onnx'
CHECKPOINT: Final = 'model.json'


@dataclass(frozen=True)
class Choice:
    """
    What will run.

    :param kind: as in ``engine.KINDS``, but 'auto'
    :param why: for the log
    """

    kind: str
    why: str


def is_installed(kind: str) -> bool:
    """Say whether the library of a kind can be found; it is not imported."""
    return find_spec(MODULES[kind]) is not None


def choose(folder: Path, kind: str = 'auto') -> Choice:
    """
    Choose.

    :param folder: of an engine or a checkpoint
    :param kind: 'auto', or what is asked for
    :raises EngineError: if the folder's description cannot be used
    """
    if kind != 'auto':
        return Choice(kind, 'asked for')
    if not (folder / manifests.MANIFEST).exists() and (folder / CHECKPOINT).exists():
        return Choice('pytorch', 'the folder has a checkpoint, and no exported engine')
    runs = manifests.read(folder).runs
    missing = []
    for candidate in runs:
        if is_installed(candidate):
            others = f', {" and ".join(missing)} not installed' if missing else ''
            return Choice(candidate, f'the engine was compared with PyTorch by it{others}')
        missing.append(candidate)
    # None is: the error is to name the library that every robot can have.
    return Choice(ONNX if ONNX in runs else runs[0], 'the engine is for it')
