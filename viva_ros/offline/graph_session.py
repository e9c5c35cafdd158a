# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A graph in memory, run on one thread by the library that will run it on a robot."""

from collections.abc import Callable
from typing import Any, Final

import onnxruntime
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError
from viva_ros.engine.backends.openvino import Compiled, can_bfloat16
from viva_ros.engine.backends.openvino import GraphSource as Source

E4M3: Final = b'e4m3'  # in the names of tensors of a graph in such 8 bits
Run = Callable[[dict[str, Any]], dict[str, NDArray[Any]]]


def run_of(graph: bytes, kind: str = 'onnx', seam: str = '') -> Run:
    """
    Give a function that runs a graph on one observation, outputs by name.

    :param kind: 'openvino'; all others are tried by onnxruntime
    :param seam: up to which OpenVINO computes in bfloat16
    :raises EngineError: if bfloat16 is asked for and cannot be had
    """
    if kind == 'openvino':
        if seam and not can_bfloat16():
            raise EngineError(
                'this CPU has no bfloat16 (AVX512_BF16 or AMX), so that nothing can be compared: '
                'export on one that has it, or take float32'
            )
        return Compiled(Source(graph, 1, seam), 1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if E4M3 in graph:  # its fused operations do not know these 8 bits
        options.add_session_config_entry('session.disable_quant_qdq', '1')
    opened = onnxruntime.InferenceSession(graph, options, providers=['CPUExecutionProvider'])
    names = [output.name for output in opened.get_outputs()]
    return lambda feeds: dict(zip(names, opened.run(None, feeds), strict=True))
