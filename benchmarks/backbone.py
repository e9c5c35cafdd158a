#!/usr/bin/env python3
# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Try a model of Wan2.2-TI2V-5B's width, with fewer blocks, from a folder to an engine.

Random weights in the published layout are loaded, trained for a step (LoRA), read back, exported
and run. Each part has a process of its own, so that its peak of memory is its own; times are CPU
times, as the machine may be busy. The VAE's encoder has its real size; its decoder, which no
estimate needs, is narrow.

    python scripts/backbone.py --layers 1 --work /tmp/backbone --out benchmarks/backbone.json \
        --date 2026-11-21
"""

import argparse
import json
import multiprocessing
import os
import platform
import shlex
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from support import random_snapshot

from viva_ros.cli import embed
from viva_ros.cli.export import session
from viva_ros.core.files import write_atomically
from viva_ros.core.normalize import JointRanges
from viva_ros.export import graph
from viva_ros.model import checkpoint, pretrained
from viva_ros.model import text as embeddings
from viva_ros.model.config import WAN_5B, ViVaConfig
from viva_ros.model.latents import Goals
from viva_ros.training import checkpointing as adapters

JOINTS: Final = tuple(f'{arm}_{k}' for arm in ('left', 'right') for k in range(7))
RANGES: Final = JointRanges(JOINTS, (-1.0,) * 14, (1.0,) * 14)
TASKS: Final = ('lift', 'pass')
RANK: Final = 16


def make_config(layers: int) -> ViVaConfig:
    """Give the 5B's configuration with fewer blocks."""
    size = replace(WAN_5B.transformer, num_layers=layers)
    vae = replace(WAN_5B.vae, decoder_base_dim=16)
    return replace(WAN_5B, transformer=size, vae=vae, joint_names=JOINTS, tasks=TASKS)


def write_snapshot(work: Path, layers: int) -> dict[str, Any]:
    """Write random weights."""
    random_snapshot.write(work / 'snapshot', make_config(layers))
    paths = [path for path in (work / 'snapshot').rglob('*') if path.is_file()]
    return {'GB': round(sum(path.stat().st_size for path in paths) / 1e9, 2)}


def embed_texts(work: Path, layers: int) -> dict[str, Any]:
    """Embed the texts of two tasks."""
    made = embed.embed(work / 'snapshot', ('lift the tray', 'pass the cube'), TASKS)
    embed.add_to_file(work / 'texts.safetensors', made)
    return {'rows': list(made.rows.shape)}


def load(work: Path, layers: int, dtype: torch.dtype = torch.float32) -> pretrained.ViVa:
    """Load the snapshot."""
    texts = embeddings.read(work / 'texts.safetensors')
    return pretrained.load(work / 'snapshot', make_config(layers), RANGES, texts, dtype)


def load_float32(work: Path, layers: int) -> dict[str, Any]:
    """Load it as it was written."""
    return {'parameters': sum(p.numel() for p in load(work, layers).parameters())}


def load_bfloat16(work: Path, layers: int) -> dict[str, Any]:
    """Load its transformer in half the memory."""
    model = load(work, layers, torch.bfloat16)
    return {'GB': round(sum(p.nbytes for p in model.parameters()) / 1e9, 2)}


def train_a_step(work: Path, layers: int) -> dict[str, Any]:
    """Encode views, take one step of AdamW on adapters, merge them, and write a checkpoint."""
    model = load(work, layers, torch.bfloat16)
    model.vae.requires_grad_(False)
    adapters.add(model.transformer, RANK)
    learning = [p for p in model.transformer.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=4e-5, betas=(0.9, 0.95), weight_decay=0.01)
    model.transformer.enable_gradient_checkpointing()
    model.train()
    started = time.process_time()
    with torch.no_grad():
        images = model.encode(_images())
    encoded = time.process_time()
    goals = Goals(torch.zeros(1), torch.zeros(1, len(JOINTS)))
    source = torch.Generator().manual_seed(0)
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.loss(images, torch.zeros(1, len(JOINTS)), goals, torch.tensor([1]), source)
    losses['total'].backward()
    torch.nn.utils.clip_grad_norm_(learning, 1.0)
    optimiser.step()
    stepped = time.process_time()
    optimiser.zero_grad()
    adapters.merge(model.transformer)
    checkpoint.write(work / 'checkpoint', model, {})
    return {
        'loss': round(float(losses['total'].detach()), 4),
        'encoding_s': round(encoded - started, 1), 'step_s': round(stepped - encoded, 1),
    }  # fmt: skip


def score(work: Path, layers: int) -> dict[str, Any]:
    """Read the checkpoint and estimate one moment, for both tasks."""
    model = checkpoint.read(work / 'checkpoint').model
    started, values = time.process_time(), []
    with torch.inference_mode():
        for task in range(len(TASKS)):
            given = model(_images(), torch.zeros(1, len(JOINTS)), torch.tensor([task]))
            values.append(float(given[0]))
    seconds = (time.process_time() - started) / len(TASKS)
    return {'values': [round(value, 6) for value in values], 'estimate_s': round(seconds, 1)}


def export(work: Path, layers: int) -> dict[str, Any]:
    """Export the lean form, and compare it with the model."""
    source = graph.open_source(work / 'checkpoint')
    content = graph.make_graph(source)
    inputs = {'images': _images(), 'proprio': torch.zeros(1, len(JOINTS)),
              'task': torch.tensor([1])}  # fmt: skip
    with torch.inference_mode():
        expected = [tensor.numpy() for tensor in source.model(*inputs.values())]
    size = len(content)
    run = session(content)
    del content, source
    given = run({name: tensor.numpy() for name, tensor in inputs.items()})
    started = time.process_time()
    run({name: tensor.numpy() for name, tensor in inputs.items()})
    return {
        'GB': round(size / 1e9, 2), 'estimate_s': round(time.process_time() - started, 1),
        'differs': [float(np.abs(a - b).max()) for a, b in zip(given, expected, strict=True)],
    }  # fmt: skip


PARTS: Final[tuple[Callable[[Path, int], dict[str, Any]], ...]] = (
    write_snapshot, embed_texts, load_float32, load_bfloat16, train_a_step, score, export,
)  # fmt: skip


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--layers', type=int, default=1)
    parser.add_argument('--work', type=Path, required=True, help='folder for some 10 GB')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--date', required=True)
    parser.add_argument('--parts', nargs='+', default=[part.__name__ for part in PARTS])
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    results = {part.__name__: _run(part, args) for part in PARTS if part.__name__ in args.parts}
    config = make_config(args.layers)
    content = {
        'date': args.date, 'command': shlex.join(['python', *sys.argv]),
        'hardware': {'machine': platform.machine(), 'cores': os.cpu_count(),
                     'threads': args.threads},
        'libraries': {name: version(name) for name in ('torch', 'diffusers', 'onnxruntime')},
        'model': {'layers': args.layers, 'width': 3072, 'image_size': list(config.image_size),
                  'tokens': config.frames * config.tokens_per_frame, 'weights': 'random'},
        'parts': results,
    }  # fmt: skip
    write_atomically(args.out, json.dumps(content, indent=1) + '\n')


def _run(part: Callable[[Path, int], dict[str, Any]], args: argparse.Namespace) -> dict[str, Any]:
    context = multiprocessing.get_context('spawn')
    with context.Pool(1, maxtasksperchild=1) as pool:
        found = pool.apply(_measure, (part.__name__, args.work, args.layers, args.threads))
    print(part.__name__, found, flush=True)
    return dict(found)


def _measure(name: str, work: Path, layers: int, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    before = time.process_time()
    peak, done = [_own_memory()], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], _own_memory())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    found = globals()[name](work, layers)
    done.set()
    watcher.join()
    return {
        'cpu_seconds': round(time.process_time() - before, 1),
        'peak_GB': round(peak[0] / 1e9, 2), **found,
    }  # fmt: skip


def _own_memory() -> int:
    """Give the bytes in memory that are no file's: those mapped in can be dropped at any time."""
    lines = Path('/proc/self/status').read_text(encoding='utf-8').splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith('RssAnon'))


def _images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (1, 3, *WAN_5B.image_size, 3), generator=generator).byte()


if __name__ == '__main__':
    main()
