# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
TensorRT engines, built of an ONNX graph.

`tensorrt_rtx` builds ahead for GPUs that are not here; `tensorrt` builds for the one that is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from viva_ros.core.errors import EngineError
from viva_ros.engine.backends import cuda
from viva_ros.engine.backends.tensorrt import LARGEST_BATCH, import_library

OPSET: Final = 23  # attention has an operation of its own; of halves alone, so far
RTX: Final = 'tensorrt_rtx'
BATCHES: Final = 1, 1, LARGEST_BATCH  # smallest, best served, largest
CAPABILITY: Final = re.compile(r'\d{2,3}')


@dataclass(frozen=True)
class Built:
    """
    An engine.

    :param gpu: that it is for
    :param libraries: versions that it is bound to
    """

    content: bytes
    gpu: Mapping[str, Any]
    libraries: Mapping[str, str]


def check(kind: str, build_only: bool, capabilities: Sequence[str]) -> ModuleType:
    """
    Refuse what cannot be built here, before anything takes long.

    :raises EngineError: if the library or the GPU is missing
    """
    library = import_library(kind)
    odd = [text for text in capabilities if not CAPABILITY.fullmatch(text)]
    if odd:
        raise EngineError(f'capability is {odd[0]!r}, must be two or three digits, such as 89')
    if capabilities and kind != RTX:
        raise EngineError(f'{kind} builds for the GPU that is here alone: leave out --capability')
    found = cuda.probe()
    if found.device is None and not (kind == RTX and build_only and capabilities):
        remedy = 'add --build-only and --capability, or build where the GPU is'
        raise EngineError(
            f'no GPU to build and compare with ({found.reason}): '
            + (remedy if kind == RTX else 'build where the GPU is')
        )
    if kind == RTX:
        unknown = [c for c in capabilities if not hasattr(library.ComputeCapability, f'SM{c}')]
        if unknown:
            names = library.ComputeCapability.__members__
            known = ' '.join(name[2:] for name in names if name[2:].isdigit())
            raise EngineError(f'capability is {unknown[0]}, {RTX} knows {known}')
        if found.device is not None and not capabilities:
            _check_supported(library, found.device)
    return library


def _check_supported(library: Any, device: cuda.Device) -> None:
    """Refuse a GPU that the library builds for and then does not run on, such as an H200."""
    names = library.ComputeCapability.__members__
    known = sorted(int(name[2:]) for name in names if name[2:].isdigit())
    here = int(device.capability.replace('.', ''))
    if here not in known and here < known[-1]:  # a later GPU may be supported
        raise EngineError(
            f'{RTX} {library.__version__} does not run on {device.name} (sm_{here}), it knows '
            f'{" ".join(map(str, known))}: take --engine pytorch, or tensorrt if installed'
        )


def build(graph: bytes, kind: str, capabilities: Sequence[str]) -> Built:
    """
    Build.

    :param graph: ONNX, in the precision that is wanted: types are kept as they are
    :raises EngineError: if an operation is not supported, or memory does not suffice
    """
    library = import_library(kind)
    logger = _logger(library)
    builder = _make_builder(library, logger, kind)
    flag = library.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    network = builder.create_network(1 << int(flag))
    _parse(library, network, logger, graph, kind)
    _allow_decomposition(library, network)
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        item = network.get_input(index)
        profile.set_shape(item.name, *((size, *tuple(item.shape)[1:]) for size in BATCHES))
    config.add_optimization_profile(profile)
    if capabilities:
        config.num_compute_capabilities = len(capabilities)
        for index, text in enumerate(capabilities):
            config.set_compute_capability(getattr(library.ComputeCapability, f'SM{text}'), index)
    made = builder.build_serialized_network(network, config)
    if made is None:
        raise EngineError(
            f'{kind} could not build the engine ({logger.last or "no reason given"}): free GPU '
            'memory, or take another precision'
        )
    return Built(bytes(made), _gpu(capabilities), {kind: library.__version__})


def _make_builder(library: Any, logger: Any, kind: str) -> Any:
    try:
        return library.Builder(logger)
    except TypeError as error:  # the bindings raise it for a null pointer
        raise EngineError(
            f'{kind} {library.__version__} cannot build on this machine ({logger.last or error}): '
            'look whether it supports this GPU and driver, or take the kind pytorch'
        ) from error


def _parse(library: Any, network: Any, logger: Any, graph: bytes, kind: str) -> None:
    parser = library.OnnxParser(network, logger)
    if parser.parse(graph):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    reasons = [f'{error.node_operator()}: {error.desc()}' for error in errors]
    raise EngineError(
        f'{kind} {library.__version__} cannot parse the graph ({"; ".join(reasons)}): upgrade '
        f'{kind}, or take the kind onnx'
    )


def _allow_decomposition(library: Any, network: Any) -> None:
    """
    Let attention without a kernel of its own become products and a softmax.

    Else one such layer fails the build: the 5B's image encoder has a head of 640 channels.
    """
    boundary = getattr(library.LayerType, 'ATTENTION_INPUT', None)
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if boundary is not None and layer.type == boundary:
            layer.__class__ = library.IAttentionInputLayer  # the bindings return the base class
            layer.attention.decomposable = True


def _gpu(capabilities: Sequence[str]) -> dict[str, Any]:
    device = cuda.probe().device
    if device is None or capabilities:
        dotted = [f'{text[:-1]}.{text[-1]}' for text in capabilities]
        return {'name': '', 'capabilities': dotted}
    return {
        'name': device.name, 'capabilities': [device.capability], 'driver': device.driver,
    }  # fmt: skip


def _logger(library: Any) -> Any:
    class Logger(library.ILogger):
        """Keeps the last error, and prints nothing."""

        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.last = ''

        def log(self, severity: Any, message: str) -> None:
            if severity <= library.ILogger.Severity.ERROR:
                self.last = message

    return Logger()
