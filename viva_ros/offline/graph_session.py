# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A graph in memory, run by onnxruntime on one thread."""

from collections.abc import Callable
from typing import Any

import onnxruntime


def run_of(graph: bytes) -> Callable[[dict[str, Any]], list[Any]]:
    """Give a function that runs a graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    opened = onnxruntime.InferenceSession(graph, options, providers=['CPUExecutionProvider'])
    return lambda feeds: list(opened.run(None, feeds))
