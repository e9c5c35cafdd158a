# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is written beside an engine: where it comes from and what it needs."""

import hashlib
from typing import Any, Final

from viva_ros.engine import manifest as manifests
from viva_ros.engine.backends.onnx_graph import GRAPHS
from viva_ros.engine.manifest import CHECKPOINT, Manifest
from viva_ros.export.graph import Source
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.viva import ViVa
from viva_ros.offline.command import command_line
from viva_ros.offline.engine_file import EngineFile
from viva_ros.offline.hardware import versions

LIBRARIES: Final = ('torch', 'diffusers', 'onnx', 'onnxscript', 'onnxruntime', 'openvino')


def describe(source: Source, kind: str, precision: str, made: EngineFile) -> Manifest:
    """Give the description of an engine that was not compared yet."""
    provenance = {
        'export': command_line('export'), CHECKPOINT: source.fingerprint,
        'training': dict(source.provenance), **made.facts,
    }  # fmt: skip
    digest = hashlib.sha256(made.content).hexdigest()
    return Manifest(
        manifests.FORMAT, source.kind, digest, source.cameras, source.image_size, source.ranges,
        source.horizon, source.tasks,
        manifests.fingerprint(source.fingerprint, digest, made.seam),
        float('nan'), 0, provenance, kind, made.name, precision,
        GRAPHS if kind in GRAPHS else (kind,), made.gpu, {**versions(LIBRARIES), **made.libraries},
        source.weights, _inputs(source), _texts(source), seam=made.seam,
    )  # fmt: skip


def _inputs(source: Source) -> dict[str, Any]:
    return {
        name: {'type': str(tensor.dtype).removeprefix('torch.'), 'shape': ['B', *tensor.shape[1:]]}
        for name, tensor in source.example().items()
    }


def _texts(source: Source) -> dict[str, Any]:
    """Tell what tells the tasks apart, so that two engines can be compared without weights."""
    model = source.model
    if not isinstance(model, ViVa | EarlyExit):
        return {}
    viva = model.viva if isinstance(model, EarlyExit) else model
    config = viva.config
    texts = config.texts or config.tasks
    return {
        task: {
            'text': text, 'encoder': config.text_encoder or config.text,
            'sha256': hashlib.sha256(rows.numpy().tobytes()).hexdigest(),
        }
        for task, text, rows in zip(config.tasks, texts, viva.text, strict=True)
    }  # fmt: skip
