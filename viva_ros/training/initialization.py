# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model that a run begins with, where it is put, and how it comes back."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from diffusers import WanTransformer3DModel

from viva_ros.console.progress import bar
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.normalize import JointRanges
from viva_ros.model import pretrained
from viva_ros.model import text as files
from viva_ros.model.config import ViVaConfig
from viva_ros.model.text import table
from viva_ros.model.viva import ViVa
from viva_ros.training import distributed as sharding
from viva_ros.training.config import Run
from viva_ros.training.distributed import Workers


def first_model(run: Run, config: ViVaConfig, ranges: JointRanges) -> ViVa:
    """
    Give a model with the weights of the backbone, or random ones where there is none.

    Weights that are only looked through (adapters or a head learn instead) are in bfloat16 where
    products are; those that learn are in float32.

    :raises EngineError: if backbone or embeddings cannot be read, or do not fit the preset
    :raises ConfigurationError: if a task has no embedding and the preset needs one
    """
    embeddings = None if run.embeddings is None else files.read(run.embeddings)
    if run.backbone is None:
        return ViVa(*_with_text(config, ranges, embeddings))
    frozen = bool(run.lora or run.head) and run.hardware.precision == 'bf16'
    dtype = torch.bfloat16 if frozen else torch.float32
    return pretrained.load(run.backbone, config, ranges, embeddings, dtype, _watch)


def _with_text(
    config: ViVaConfig, ranges: JointRanges, embeddings: files.Embeddings | None
) -> tuple[ViVaConfig, JointRanges, torch.Tensor]:
    config, text = table(config, embeddings)
    return config, ranges, text


def _watch(names: Sequence[str]) -> Iterable[str]:
    return bar(names, 'reading the backbone', len(names))


def begin_model(run: Run, config: ViVaConfig, ranges: JointRanges) -> ViVa:
    """
    Give a model with random weights, or those of a backbone.

    :raises ConfigurationError: if targets or head do not fit the preset
    """
    layers = config.transformer.num_layers
    if run.head > layers:
        raise ConfigurationError(f'head is on {run.head} blocks, preset {run.preset} has {layers}')
    if run.head and 'images' in run.targets:
        raise ConfigurationError('targets has images, which a head does not read: leave them out')
    config = replace(config, targets=run.targets or config.targets)
    return first_model(run, config, ranges)


def place(model: ViVa, workers: Workers) -> None:
    """Move a model to the device, but for what its stage will spread over the processes."""
    for child in model.children():
        if not workers.is_spread(child):
            child.to(workers.device)
    for name, buffer in model.named_buffers(recurse=False):
        model.register_buffer(
            name, buffer.to(workers.device), name not in model._non_persistent_buffers_set
        )
    if workers.device.type == 'cuda':
        torch.backends.cuda.matmul.allow_tf32 = workers.hardware.precision == 'bf16'


def bring_back(model: ViVa, workers: Workers) -> None:
    """Put a transformer that is spread together on the first process; the others keep none."""
    spread = model.transformer
    if not sharding.is_sharded(spread):
        return
    weights = sharding.gather(spread, workers.is_first)
    with torch.device('meta'):
        size = model.config.transformer.arguments(model.config.latent_shape[0])
        model.transformer = WanTransformer3DModel(**size)
    if workers.is_first:
        model.transformer.load_state_dict(weights, assign=True)
        model.transformer.rope = spread.rope.cpu()
