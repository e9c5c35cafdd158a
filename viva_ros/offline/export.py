# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva export`: make an engine of a checkpoint, and measure that it gives the same values.

The engine's folder has the graph that robots run, its description, and a copy of the checkpoint.
"""

import argparse
import hashlib
import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import torch
from rich.console import Console
from torch import Tensor

from viva_ros.core.errors import EngineError, RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.data.recording import read
from viva_ros.data.sources import find
from viva_ros.model import checkpoint
from viva_ros.offline.command import command_line
from viva_ros.offline.graph import OPSET, Source, make_graph, open_source
from viva_ros.offline.moments import cut
from viva_ros.runtime import manifest as manifests
from viva_ros.runtime.manifest import CHECKPOINT, GRAPH, LARGEST_DIFFERENCE, Manifest

WANTED_DIFFERENCE: Final = 1e-4
EVERY: Final = 5  # frame: of which parity is measured


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('viva export', description=__doc__)
    parser.add_argument('checkpoint', type=Path, help='folder, such as RUN/checkpoint')
    parser.add_argument('--out', type=Path, required=True, help='folder of the engine')
    parser.add_argument(
        '--recordings', type=Path, nargs='+', required=True, help='to compare on: files or folders'
    )
    parser.add_argument('--limit', type=int, default=10, help='recordings; default: %(default)s')
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    paths = find(args.recordings)[: args.limit]
    made = export(args.checkpoint, args.out, paths)
    size = sum(path.stat().st_size for path in args.out.iterdir())
    Console().print(
        f'engine {made.fingerprint} in {args.out}, {size / 1e6:.1f} MB; differs from PyTorch by '
        f'at most {made.parity:.2g} in value on {made.moments} moments'
    )
    return 0


def export(folder: Path, out: Path, recordings: Sequence[Path]) -> Manifest:
    """
    Write an engine's folder.

    :param folder: of the checkpoint, ViVa or the baseline
    :param recordings: to compare on
    :raises EngineError: if the graph differs from the model too much, and nothing is written
    """
    source = open_source(folder)
    graph = make_graph(source)
    samples = [sample for path in recordings for sample in _samples(source, path)]
    if not samples:
        raise RecordingError('there are no recorded moments to compare on: name recordings')
    parity = measure_parity(source, graph, samples)
    if not parity <= LARGEST_DIFFERENCE:
        raise EngineError(
            f'the graph differs from the model by {parity:.3g} in value, at most '
            f'{LARGEST_DIFFERENCE} is allowed: try another version of torch or onnxruntime'
        )
    out.mkdir(parents=True, exist_ok=True)
    made = describe(source, graph, parity, len(samples))
    write_atomically(out / GRAPH, graph)
    for name in (checkpoint.WEIGHTS, checkpoint.DESCRIPTION):
        if (out / name).resolve() != (folder / name).resolve():
            shutil.copyfile(folder / name, out / name)
    manifests.write(out, made)
    return made


def _samples(source: Source, path: Path) -> list[dict[str, Tensor]]:
    """Give the inputs of some moments of a recording, for every one of its tasks."""
    samples = []
    for episode in read(path).episodes():
        if episode.label is None or episode.label.task not in source.tasks:
            continue
        cameras = source.cameras or tuple(episode.cameras)[:1]
        moments = cut(
            episode, cameras, source.ranges.names, source.image_size, source.horizon, EVERY
        )  # fmt: skip
        task = torch.tensor([source.tasks.index(episode.label.task)])
        for images, proprio in zip(moments.images, moments.proprio, strict=True):
            sample = {'proprio': torch.from_numpy(proprio)[None].float(), 'task': task}
            if source.cameras:
                sample = {'images': torch.from_numpy(images)[None], **sample}
            samples.append(sample)
    return samples


def measure_parity(source: Source, graph: bytes, samples: Sequence[dict[str, Tensor]]) -> float:
    """Give the largest difference in value between a graph and the model."""
    run = session(graph)
    worst = 0.0
    for sample in samples:
        with torch.inference_mode():
            expected = float(source.model(**sample)[0])
        given = float(run({name: tensor.numpy() for name, tensor in sample.items()})[0][0])
        worst = max(worst, abs(given - expected)) if np.isfinite(given) else float('inf')
    return worst


def session(graph: bytes) -> Callable[[dict[str, Any]], list[Any]]:
    """Give a function that runs a graph on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    opened = onnxruntime.InferenceSession(graph, options, providers=['CPUExecutionProvider'])
    return lambda feeds: list(opened.run(None, feeds))


def describe(source: Source, graph: bytes, parity: float, moments: int) -> Manifest:
    """Give the description of an engine."""
    libraries = {name: version(name) for name in ('torch', 'onnx', 'onnxruntime')}
    provenance = {
        'export': command_line('export'), 'opset': OPSET, CHECKPOINT: source.fingerprint,
        'wanted_parity': WANTED_DIFFERENCE, 'libraries': libraries,
        'training': dict(source.provenance),
    }  # fmt: skip
    digest = hashlib.sha256(graph).hexdigest()
    return Manifest(
        manifests.FORMAT, source.kind, digest, source.cameras, source.image_size, source.ranges,
        source.horizon, source.tasks, manifests.fingerprint(source.fingerprint, digest),
        parity, moments, provenance,
    )  # fmt: skip


if __name__ == '__main__':
    raise SystemExit(main())
