# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ONNX graph run by OpenVINO: faster than onnxruntime on most CPUs, slower to load."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.backends import onnx_graph as portable
from viva_ros.engine.backends.openvino import (
    Compiled,
    can_bfloat16,
    library,
)
from viva_ros.engine.backends.openvino import (
    GraphSource as Source,
)
from viva_ros.engine.manifest import AGAIN, info_of
from viva_ros.runtime.tensors import pack, unpack

SIZES: Final = (8, 4, 2, 1)  # of a batch; fixed shapes are faster than free ones


class OpenvinoEngine:
    """
    Runs ``engine.onnx`` in float32, in part in bfloat16, or in the 8 bits that are written in it.

    :param threads: more than one collapse where others compute as well
    :raises EngineError: if a file is missing, changed, or cannot be run here
    """

    def __init__(self, folder: Path, task: str, threads: int = 1) -> None:
        version = library().__version__.split('-')[0]
        self._graph = graph = portable.read(folder, task, 'openvino')
        seam = graph.manifest.seam if can_bfloat16() else ''
        self._source = Source(graph.content, threads, seam)
        self._compiled: dict[int, Compiled] = {}
        self._for(1)
        how = f'openvino {version}'
        if graph.manifest.seam:
            how += ', bfloat16 in part' if seam else ', float32: this CPU has no bfloat16'
        self.info = info_of(graph.manifest, 'openvino', how)

    def _for(self, batch: int) -> Compiled:
        """Give the graph for so many observations; it is compiled when it is first asked for."""
        if batch not in self._compiled:
            try:
                self._compiled[batch] = Compiled(self._source, batch)
            except Exception as error:  # OpenVINO raises RuntimeError and errors of its own
                reason = str(error).strip().splitlines()[-1]
                raise EngineError(
                    f'{self._graph.path} cannot be loaded by openvino '
                    f'{library().__version__} ({reason}): {AGAIN}, or set engine_kind '
                    'to onnx'
                ) from error
        return self._compiled[batch]

    def estimate(self, observation: Observation) -> Estimate:
        """See ``Engine``."""
        return self._run([observation])[0]

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """See ``BatchEngine``; in parts of the sizes that are compiled."""
        found: list[Estimate] = []
        for size in SIZES if self._graph.takes_many else (1,):
            while len(observations) - len(found) >= size:
                found += self._run(observations[len(found) : len(found) + size])
        return found

    def _run(self, observations: Sequence[Observation]) -> list[Estimate]:
        images, proprio = pack(observations, self.info)
        count = len(observations)
        compiled = self._for(count)
        try:
            given = compiled(self._graph.feeds(images, proprio))
        except Exception as error:
            raise EngineError(f'openvino failed: {error}') from error
        shaped = {
            name: array.reshape((count, -1) if name == 'forecast' else count)
            for name, array in given.items()
        }
        return unpack(shaped, self.info)

    def close(self) -> None:
        """Free the compiled graphs; nothing may be estimated after."""
        self._compiled.clear()
