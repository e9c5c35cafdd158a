#!/usr/bin/env python3
# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure time and memory of a model of Wan2.2-TI2V-5B's width with fewer blocks, on a CPU.

Random weights in the published layout are loaded, trained for a step (LoRA), read back, exported
and run. Each part has its own process and therefore its own peak memory; times are CPU times,
because the machine may be busy. The encoder of the VAE has its real size; its decoder, which is
not used for estimates, is narrow. `--preset wan2.2-tiny` is a quick check that all parts run.

    python benchmarks/backbone.py --layers 1 --work /tmp/backbone --out /tmp/backbone.json
"""

import argparse
import json
import os
import platform
import shlex
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from viva_ros.console.process_pool import spawn_context
from viva_ros.core.files import write_atomically
from viva_ros.core.normalize import JointRanges
from viva_ros.export import graph
from viva_ros.model import checkpoint, pretrained, text
from viva_ros.model.config import PRESETS, WAN_5B, WAN_TINY, ViVaConfig
from viva_ros.model.cost import Sizes
from viva_ros.model.latents import Goals
from viva_ros.training import checkpointing, text_embeddings

JOINTS: Final = tuple(f'{arm}_{k}' for arm in ('left', 'right') for k in range(7))
RANGES: Final = JointRanges(JOINTS, (-1.0,) * 14, (1.0,) * 14)
TASKS: Final = ('lift', 'pass')
RANK: Final = 16
TEST: Final = Path(__file__).resolve().parents[1] / 'test'


def make_config(preset: str, layers: int) -> ViVaConfig:
    """Return a preset with fewer blocks and a narrow decoder."""
    config = PRESETS[preset]
    size = replace(config.transformer, num_layers=layers)
    vae = replace(config.vae, decoder_base_dim=min(16, config.vae.decoder_base_dim))
    return replace(config, transformer=size, vae=vae, joint_names=JOINTS, tasks=TASKS)


def write_snapshot(work: Path, config: ViVaConfig) -> dict[str, Any]:
    """Write random weights."""
    sys.path.insert(0, str(TEST))
    from support import random_snapshot

    random_snapshot.write(work / 'snapshot', config)
    paths = [path for path in (work / 'snapshot').rglob('*') if path.is_file()]
    return {'GB': round(sum(path.stat().st_size for path in paths) / 1e9, 2)}


def embed_texts(work: Path, config: ViVaConfig) -> dict[str, Any]:
    """Embed the texts of two tasks."""
    made = text_embeddings.embed(work / 'snapshot', ('lift the tray', 'pass the cube'), TASKS)
    text_embeddings.add_to_file(work / 'texts.safetensors', made)
    return {'rows': list(made.rows.shape)}


def load(work: Path, config: ViVaConfig, dtype: torch.dtype = torch.float32) -> pretrained.ViVa:
    """Load the snapshot."""
    texts = text.read(work / 'texts.safetensors')
    return pretrained.load(work / 'snapshot', config, RANGES, texts, dtype)


def load_float32(work: Path, config: ViVaConfig) -> dict[str, Any]:
    """Load the snapshot in float32."""
    return {'parameters': sum(p.numel() for p in load(work, config).parameters())}


def load_bfloat16(work: Path, config: ViVaConfig) -> dict[str, Any]:
    """Load the snapshot with the transformer in bfloat16."""
    model = load(work, config, torch.bfloat16)
    return {'GB': round(sum(p.nbytes for p in model.parameters()) / 1e9, 2)}


def train_a_step(work: Path, config: ViVaConfig) -> dict[str, Any]:
    """Encode views, take one step of AdamW on adapters, merge them, and write a checkpoint."""
    model = load(work, config, torch.bfloat16)
    model.vae.requires_grad_(False)
    checkpointing.add(model.transformer, RANK)
    learning = [p for p in model.transformer.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=4e-5, betas=(0.9, 0.95), weight_decay=0.01)
    model.transformer.enable_gradient_checkpointing()
    model.train()
    started = time.process_time()
    with torch.no_grad():
        images = model.encode(_images(config))
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
    checkpointing.merge(model.transformer)
    checkpoint.write(work / 'checkpoint', model, {})
    return {
        'loss': round(float(losses['total'].detach()), 4),
        'encoding_s': round(encoded - started, 1), 'step_s': round(stepped - encoded, 1),
    }  # fmt: skip


def score(work: Path, config: ViVaConfig) -> dict[str, Any]:
    """Read the checkpoint and estimate one moment, for both tasks."""
    model = checkpoint.read(work / 'checkpoint').model
    started, values = time.process_time(), []
    with torch.inference_mode():
        for task in range(len(TASKS)):
            given = model(_images(config), torch.zeros(1, len(JOINTS)), torch.tensor([task]))
            values.append(float(given[0]))
    seconds = (time.process_time() - started) / len(TASKS)
    return {'values': [round(value, 6) for value in values], 'estimate_s': round(seconds, 1)}


def export(work: Path, config: ViVaConfig) -> dict[str, Any]:
    """Export the lean form, and compare it with the model."""
    source = graph.open_source(work / 'checkpoint')
    content = graph.make_graph(source)
    inputs = {'images': _images(config), 'proprio': torch.zeros(1, len(JOINTS)),
              'task': torch.tensor([1])}  # fmt: skip
    with torch.inference_mode():
        expected = [tensor.numpy() for tensor in source.model(*inputs.values())]
    size = len(content)
    run = graph.run_of(content)
    del content, source
    given = run({name: tensor.numpy() for name, tensor in inputs.items()})
    started = time.process_time()
    run({name: tensor.numpy() for name, tensor in inputs.items()})
    return {
        'GB': round(size / 1e9, 2), 'estimate_s': round(time.process_time() - started, 1),
        'differs': [float(np.abs(a - b).max())
                    for a, b in zip(given.values(), expected, strict=True)],
    }  # fmt: skip


PARTS: Final[tuple[Callable[[Path, ViVaConfig], dict[str, Any]], ...]] = (
    write_snapshot, embed_texts, load_float32, load_bfloat16, train_a_step, score, export,
)  # fmt: skip


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument(
        '--preset',
        choices=(WAN_5B.preset, WAN_TINY.preset),
        default=WAN_5B.preset,
        help='Size of the model (default: %(default)s)',
    )
    parser.add_argument('--layers', type=int, default=1,
                        help='Number of transformer blocks (default: %(default)s)')  # fmt: skip
    parser.add_argument(
        '--work', type=Path, required=True, help='Folder for about 10 GB of weights'
    )
    parser.add_argument('--out', type=Path, required=True, help='JSON file of the results')
    parser.add_argument('--threads', type=int, default=2,
                        help='Threads of torch (default: %(default)s)')  # fmt: skip
    parts = [part.__name__ for part in PARTS]
    parser.add_argument(
        '--parts', nargs='+', choices=parts, default=parts, help='Parts to run; default: all'
    )
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    results = {part.__name__: _run(part, args) for part in PARTS if part.__name__ in args.parts}
    config = make_config(args.preset, args.layers)
    content = {
        'date': f'{datetime.now(UTC):%Y-%m-%d}', 'command': shlex.join(['python', *sys.argv]),
        'hardware': {'machine': platform.machine(), 'cores': os.cpu_count(),
                     'threads': args.threads},
        'libraries': {name: version(name) for name in ('torch', 'diffusers', 'onnxruntime')},
        'model': {'preset': args.preset, 'layers': args.layers, 'width': Sizes.of(config).width,
                  'image_size': list(config.image_size),
                  'tokens': config.frames * config.tokens_per_frame, 'weights': 'random'},
        'parts': results,
    }  # fmt: skip
    write_atomically(args.out, json.dumps(content, indent=1) + '\n')


def _run(
    part: Callable[[Path, ViVaConfig], dict[str, Any]], args: argparse.Namespace
) -> dict[str, Any]:
    context = spawn_context()
    with context.Pool(1, maxtasksperchild=1) as pool:
        found = pool.apply(
            _measure, (part.__name__, args.work, args.preset, args.layers, args.threads)
        )
    print(part.__name__, found, flush=True)
    return dict(found)


def _measure(name: str, work: Path, preset: str, layers: int, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    before = time.process_time()
    peak, done = [_own_memory()], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], _own_memory())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    found = globals()[name](work, make_config(preset, layers))
    done.set()
    watcher.join()
    return {
        'cpu_seconds': round(time.process_time() - before, 1),
        'peak_GB': round(peak[0] / 1e9, 2), **found,
    }  # fmt: skip


def _own_memory() -> int:
    """Return the bytes of memory that map no file: mapped files can be dropped at any time."""
    lines = Path('/proc/self/status').read_text(encoding='utf-8').splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith('RssAnon'))


def _images(config: ViVaConfig) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (1, 3, *config.image_size, 3), generator=generator).byte()


if __name__ == '__main__':
    main()
