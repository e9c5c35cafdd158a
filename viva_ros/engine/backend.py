# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The libraries that run engines: a backend is one file in ``backends/``, see ``Backend``."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from viva_ros.core.registry import Registry
from viva_ros.engine.api import Engine

AUTO: Final = 'auto'


@dataclass(frozen=True)
class Backend:
    """
    A library that runs engines.

    :param library: module that is imported when an engine is loaded
    :param load: loads the engine in a ``manifest.EngineFolder``, which verifies each file that is
        read from it, for a task; raises EngineError
    :param precisions: precisions that ``viva export`` can build, the default first
    :param builder: 'module:function' of the exporter, (source, plan, samples) -> EngineFile
    :param runs_onnx: whether it also runs the ONNX graph of engines for other backends
    """

    library: str
    load: Callable[[Any, str], Engine]
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
    """Return all values of the parameter ``engine_kind``, 'auto' first."""
    return (AUTO, *BACKENDS.names())


def is_installed(kind: str) -> bool:
    """Return whether the library of a kind is installed, without importing it."""
    return find_spec(BACKENDS[kind].library) is not None


def runs_onnx() -> tuple[str, ...]:
    """Return the kinds that run ONNX graphs."""
    return tuple(kind for kind in BACKENDS if BACKENDS[kind].runs_onnx)
