# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Build TensorRT engines from an ONNX graph.

`tensorrt_rtx` can build for GPUs of other machines; `tensorrt` builds for the GPU of this machine.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from viva_ros.core.errors import EngineError
from viva_ros.engine.backends import cuda
from viva_ros.engine.backends.tensorrt import LARGEST_BATCH, import_library

OPSET: Final = 23  # the first with an attention operation; used in 16 bits only
RTX: Final = 'tensorrt_rtx'
BATCHES: Final = 1, 1, LARGEST_BATCH  # smallest, optimal, largest batch
CAPABILITY: Final = re.compile(r'\d{2,3}')


@dataclass(frozen=True)
class Built:
    """
    A TensorRT engine.

    :param content: serialized engine
    :param gpu: GPU that the engine runs on
    :param libraries: versions of the libraries that the engine requires
    """

    content: bytes
    gpu: Mapping[str, Any]
    libraries: Mapping[str, str]


def check(kind: str, build_only: bool, capabilities: Sequence[str]) -> ModuleType:
    """
    Refuse an engine that cannot be built on this machine, before the export starts.

    :param capabilities: compute capabilities to build for, such as 89; empty: of the GPU here
    :raises EngineError: if the library or the GPU is missing, or a capability is not supported
    """
    library = import_library(kind)
    invalid = [text for text in capabilities if not CAPABILITY.fullmatch(text)]
    if invalid:
        raise EngineError(
            'capability-malformed',
            f'capability is {invalid[0]!r}, must be two or three digits, such as 89',
        )
    if capabilities and kind != RTX:
        raise EngineError(
            'capability-unsupported',
            f'{kind} builds only for the GPU of this machine: leave out --capability',
        )
    found = cuda.probe()
    if found.device is None and not (kind == RTX and build_only and capabilities):
        remedy = 'build on the machine with the GPU'
        if kind == RTX:
            remedy = f'add --build-only and --capability, or {remedy}'
        raise EngineError(
            'tensorrt-gpu-missing',
            f'no GPU to build for and compare on ({found.reason}): {remedy}',
        )
    if kind == RTX:
        unknown = [c for c in capabilities if not hasattr(library.ComputeCapability, f'SM{c}')]
        if unknown:
            names = library.ComputeCapability.__members__
            known = ' '.join(name[2:] for name in names if name[2:].isdigit())
            raise EngineError(
                'capability-unknown', f'capability is {unknown[0]}, {RTX} supports {known}'
            )
        if found.device is not None and not capabilities:
            _check_supported(library, found.device)
    return library


def _check_supported(library: Any, device: cuda.Device) -> None:
    """Refuse a GPU for which the library can build but not run, such as an H200."""
    names = library.ComputeCapability.__members__
    known = sorted(int(name[2:]) for name in names if name[2:].isdigit())
    here = int(device.capability.replace('.', ''))
    if here not in known and here < known[-1]:  # a later GPU may be supported
        raise EngineError(
            'tensorrt-gpu-unsupported',
            f'{RTX} {library.__version__} does not run on {device.name} (sm_{here}), it supports '
            f'{" ".join(map(str, known))}: use --engine pytorch, or tensorrt if installed',
        )


def build(graph: bytes, kind: str, capabilities: Sequence[str]) -> Built:
    """
    Build an engine.

    :param graph: ONNX; the engine keeps the precision of its tensors
    :param capabilities: see ``check``
    :raises EngineError: if an operation is not supported, or memory is too small
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
            'tensorrt-build-failed',
            f'{kind} could not build the engine ({logger.last or "no reason given"}): free GPU '
            'memory, or use another --precision',
        )
    return Built(bytes(made), _gpu(capabilities), {kind: library.__version__})


def _make_builder(library: Any, logger: Any, kind: str) -> Any:
    try:
        return library.Builder(logger)
    except TypeError as error:  # the bindings raise it for a null pointer
        raise EngineError(
            'tensorrt-builder-failed',
            f'{kind} {library.__version__} cannot build on this machine ({logger.last or error}): '
            'check that it supports this GPU and driver, or use --engine pytorch',
        ) from error


def _parse(library: Any, network: Any, logger: Any, graph: bytes, kind: str) -> None:
    parser = library.OnnxParser(network, logger)
    if parser.parse(graph):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    reasons = [f'{error.node_operator()}: {error.desc()}' for error in errors]
    raise EngineError(
        'tensorrt-parse-failed',
        f'{kind} {library.__version__} cannot parse the graph ({"; ".join(reasons)}): upgrade '
        f'{kind}, or use --engine onnx',
    )


def _allow_decomposition(library: Any, network: Any) -> None:
    """
    Allow TensorRT to replace attention that has no fused kernel by matrix products and a softmax.

    Otherwise one such layer fails the build: the image encoder of the 5B has a head of 640
    channels.
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
        """Keep the last error, print nothing."""

        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.last = ''

        def log(self, severity: Any, message: str) -> None:
            if severity <= library.ILogger.Severity.ERROR:
                self.last = message

    return Logger()
