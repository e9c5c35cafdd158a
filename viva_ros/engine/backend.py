# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The libraries that run engines: a backend is one file in ``backends/``, see ``Backend``."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from viva_ros.core.registry import Registry
from viva_ros.engine.api import Engine

AUTO: Final = 'auto'


@dataclass(frozen=True)
class Backend:
    """
    A library that runs engines.

    :param library: module that it imports; looked for, and imported when an engine is loaded
    :param load: opens the engine in a folder for a task; raises EngineError
    :param precisions: of arithmetic that ``viva export`` can make, the default first
    :param builder: 'module:function' of the exporter, (source, plan, samples) -> EngineFile
    :param runs_onnx: whether it runs the ONNX graph of an engine that is for another library
    """

    library: str
    load: Callable[[Path, str], Engine]
    precisions: tuple[str, ...]
    builder: str
    runs_onnx: bool = False


#: By kind, as in ``engine.json`` and the parameter ``engine_kind``.
BACKENDS: Final[Registry[Backend]] = Registry(
    'engine kind',
    'viva_ros.engine_backends',
    {
        'onnx': 'viva_ros.engine.backends.onnx:BACKEND',
        'openvino': 'viva_ros.engine.backends.openvino:BACKEND',
        'tensorrt': 'viva_ros.engine.backends.tensorrt:TENSORRT_BACKEND',
        'tensorrt_rtx': 'viva_ros.engine.backends.tensorrt:RTX_BACKEND',
        'pytorch': 'viva_ros.engine.backends.pytorch:BACKEND',
    },
)


def kinds() -> tuple[str, ...]:
    """Return all kinds that an engine can be asked for by, 'auto' first."""
    return (AUTO, *BACKENDS.names())


def is_installed(kind: str) -> bool:
    """Return whether the library of a kind can be found; it is not imported."""
    return find_spec(BACKENDS[kind].library) is not None


def runs_onnx() -> tuple[str, ...]:
    """Return the kinds that run one and the same ONNX graph."""
    return tuple(kind for kind in BACKENDS if BACKENDS[kind].runs_onnx)
