# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Export a checkpoint to an ONNX graph."""

import copy
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from viva_ros.core.errors import EngineError
from viva_ros.core.normalize import JointRanges
from viva_ros.engine.backends.openvino import Compiled, GraphSource, can_bfloat16
from viva_ros.model import checkpoint
from viva_ros.model.inference import LeanViVa
from viva_ros.model.proprio import ProprioModel

LARGEST_GRAPH: Final = 2_000_000_000  # bytes; protobuf reads 2 GiB
OPSET: Final = 20  # onnxruntime has fast CPU kernels for all of its operations
LARGEST_BATCH: Final = 1024


@dataclass(frozen=True)
class CheckpointSource:
    """
    A checkpoint to export.

    :param model: called with the inputs of ``example``, by name
    :param lean: computes the same outputs, faster
    :param weights: SHA-256 of the weights
    """

    kind: str
    model: nn.Module
    lean: nn.Module
    cameras: tuple[str, ...]
    image_size: tuple[int, int]
    ranges: JointRanges
    horizon: float
    tasks: tuple[str, ...]
    fingerprint: str
    provenance: Mapping[str, Any]
    outputs: tuple[str, ...] = ('value', 'forecast')
    weights: str = ''
    folder: Path = Path()

    def example(self, batch: int = 1) -> dict[str, Tensor]:
        """Return inputs of zeros, by name: images (B, V, H, W, 3), proprio (B, J), task (B,)."""
        task = torch.zeros(batch).long()
        inputs = {'proprio': torch.zeros(batch, len(self.ranges.names)), 'task': task}
        if not self.cameras:
            return inputs
        shape = (batch, len(self.cameras), *self.image_size, 3)
        return {'images': torch.zeros(shape, dtype=torch.uint8), **inputs}


def open_source(folder: Path) -> CheckpointSource:
    """
    Read a checkpoint of a video model or of the proprioception baseline.

    :raises EngineError: if it cannot be read
    """
    content = checkpoint.read_description(folder)
    kind = content.get('kind')
    if kind in checkpoint.KINDS.values():
        found = checkpoint.read(folder)
        config = found.model.config
        return CheckpointSource(
            str(kind), found.model, LeanViVa(found.model).eval(), config.cameras,
            config.image_size, found.model.ranges, config.horizon, config.tasks,
            found.fingerprint, found.provenance, found.model.outputs, content['sha256'], folder,
        )  # fmt: skip
    if kind != 'proprio':
        known = ', '.join((*checkpoint.KINDS.values(), 'proprio'))
        raise EngineError(
            'checkpoint-kind-unknown', f'{folder} has kind {kind!r}, must be one of {known}'
        )
    ranges, tasks = JointRanges.from_dict(content['ranges']), tuple(content['tasks'])
    model = ProprioModel(ranges, len(tasks)).eval()
    checkpoint.read_weights(folder, model, content['sha256'])
    mark = checkpoint.fingerprint(content['sha256'], {'tasks': list(tasks)}, content['ranges'])
    return CheckpointSource(
        'proprio', model, model, (), (1, 1), ranges, float(content['horizon']), tasks, mark,
        content['provenance'], weights=content['sha256'], folder=folder,
    )  # fmt: skip


EXPORTER_LOGGERS: Final = ('torch.onnx', 'onnxscript')
ROOT_LOGGER: Final = ''


@contextmanager
def hide_warnings(*loggers: str) -> Iterator[None]:
    """
    Hide warnings of a library, which concern its authors and not the user; errors pass.

    :param loggers: names of the loggers that the library warns with
    """
    found = [logging.getLogger(name) for name in loggers]
    levels = [logger.level for logger in found]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            for logger in found:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(found, levels, strict=True):
                logger.setLevel(level)


def make_graph(
    source: CheckpointSource, opset: int = OPSET, precision: torch.dtype = torch.float32
) -> bytes:
    """
    Return the ONNX graph of a model, with weights, for any batch size.

    :param precision: of a video model; joints and estimates stay in float32
    :raises EngineError: if the exporter does not support an operation of the model, or the weights
        are too large for one file
    """
    size = sum(t.numel() * t.element_size() for t in source.lean.state_dict().values())
    if size > LARGEST_GRAPH:
        raise EngineError(
            'graph-too-large',
            f'the model has {size / 1e9:.1f} GB of weights, a graph in one file can hold '
            f'{LARGEST_GRAPH / 1e9:.1f} GB: use --engine pytorch, which runs the model as one '
            'CUDA graph',
        )
    lean = copy.deepcopy(source.lean)
    if isinstance(lean, LeanViVa):
        lean.to_precision(precision)
    example = source.example(batch=2)  # the exporter makes an axis of 1 a constant
    axis = torch.export.Dim('batch', min=1, max=LARGEST_BATCH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'graph.onnx'
        try:
            with hide_warnings(*EXPORTER_LOGGERS):
                program = torch.onnx.export(
                    lean, tuple(example.values()), dynamo=True, opset_version=opset,
                    input_names=list(example), output_names=list(source.outputs),
                    dynamic_shapes=tuple({0: axis} for _ in example), verbose=False,
                )  # fmt: skip
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise EngineError(
                'onnx-export-failed',
                f'the model cannot be exported to ONNX opset {opset} ({reason}): try another '
                'version of torch or onnxscript, or use --engine pytorch',
            ) from error
        assert program is not None
        program.save(str(path), external_data=False)
        proto = onnx.load(str(path))
    _strip(proto)
    onnx.checker.check_model(proto)
    _check_batch(proto)
    return bytes(proto.SerializeToString())


def _check_batch(proto: onnx.ModelProto) -> None:
    """Refuse a graph of one batch size: the exporter makes it a constant without a warning."""
    for tensor in proto.graph.input:
        first = tensor.type.tensor_type.shape.dim[0]
        if not first.dim_param:
            raise EngineError(
                'graph-batch-fixed',
                f'the graph takes {tensor.name} of batch size {first.dim_value} only, must be '
                'any: the model reads its batch size with len(), use shape[0]',
            )


def _strip(proto: onnx.ModelProto) -> None:
    """Remove source locations: they contain local paths and double the size of the file."""
    for node in proto.graph.node:
        node.doc_string = ''
        del node.metadata_props[:]
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        value.doc_string = ''
        del value.metadata_props[:]
    for tensor in proto.graph.initializer:
        tensor.doc_string = ''
        del tensor.metadata_props[:]
    del proto.graph.value_info[:]
    del proto.graph.metadata_props[:]
    del proto.metadata_props[:]
    proto.doc_string = proto.graph.doc_string = ''


E4M3: Final = b'e4m3'  # in the tensor names of a graph quantized to fp8
Run = Callable[[dict[str, Any]], dict[str, NDArray[Any]]]


def run_of(graph: bytes, kind: str = 'onnx', seam: str = '') -> Run:
    """
    Return a function that runs a graph on one observation and returns its outputs by name.

    :param kind: 'openvino', or any other for onnxruntime
    :param seam: tensor up to which OpenVINO computes in bfloat16; empty: all in float32
    :raises EngineError: if the CPU lacks bfloat16
    """
    if kind == 'openvino':
        if seam and not can_bfloat16():
            raise EngineError(
                'cpu-bfloat16-missing',
                'this CPU has no bfloat16 (AVX512_BF16 or AMX), so the engine cannot be compared '
                'with PyTorch: export on a CPU with bfloat16, or use --precision float32',
            )
        return Compiled(GraphSource(graph, 1, seam), 1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if E4M3 in graph:  # the fused operations of onnxruntime do not support fp8
        options.add_session_config_entry('session.disable_quant_qdq', '1')
    opened = onnxruntime.InferenceSession(graph, options, providers=['CPUExecutionProvider'])
    names = [output.name for output in opened.get_outputs()]
    return lambda feeds: dict(zip(names, opened.run(None, feeds), strict=True))
