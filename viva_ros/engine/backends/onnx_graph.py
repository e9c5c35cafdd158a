# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph, verified, for whichever library runs it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError
from viva_ros.engine import manifest as manifests
from viva_ros.engine import manifest as verified
from viva_ros.engine.backend import BACKENDS
from viva_ros.engine.manifest import Manifest

BATCH: Final = 'batch'  # name of the free axis in the graph


@dataclass(frozen=True)
class Graph:
    """
    A graph and what it is of.

    :param content: the ONNX file
    :param task: index
    :param takes_many: one call is for any number of observations
    """

    path: Path
    content: bytes
    manifest: Manifest
    task: int
    takes_many: bool

    def feeds(
        self, images: NDArray[np.uint8], proprio: NDArray[np.float32]
    ) -> dict[str, NDArray[np.generic]]:
        """Name the inputs: (B, V, H, W, 3) and (B, J); a graph without cameras takes no images."""
        task = np.full(len(proprio), self.task, dtype=np.int64)
        return {'images': images, 'proprio': proprio, 'task': task}


def read(folder: Path, task: str, kind: str) -> Graph:
    """
    Read and verify.

    :param kind: of the library that will run it
    :raises EngineError: if a file is missing, changed or not a graph, or the task is not known
    """
    manifest = manifests.read(folder)
    verified.check_parity(manifest)
    if not BACKENDS[manifest.kind].runs_onnx:
        raise EngineError(
            f'{folder} is an engine for {manifest.kind}, asked for {kind}: set engine_kind to '
            f"auto, or run 'viva export {folder} --engine {kind} --out DIR --recordings DIR'"
        )
    index = verified.check_task(manifest, task)
    content = verified.read_graph(folder, manifest)
    shape = manifest.inputs.get('proprio', {}).get('shape', [1])
    return Graph(folder / manifest.file, content, manifest, index, shape[0] == 'B')
