# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A ViVa that begins as Wan2.2-TI2V: transformer and VAE from a local folder as it is published.

All or nothing: each weight of the folder has its place in the model and the other way round. The
model takes memory only when its weights come, one after the other, so that the peak is the model
itself and its largest tensor.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges
from viva_ros.model import wan_files as layout
from viva_ros.model.blank import blank, fill, without_memory
from viva_ros.model.config import ViVaConfig
from viva_ros.model.embeddings import Embeddings
from viva_ros.model.fold import fold_weight, is_folded, make_video_vae
from viva_ros.model.shards import Shape, Shards, check_shapes
from viva_ros.model.text import table
from viva_ros.model.viva import ViVa

STEM: Final = 'diffusion_pytorch_model'
#: Parts that stay in float32 whatever the rest is in, as in diffusers: small, and they decide.
KEPT: Final = ('rope', 'time_embedder', 'scale_shift_table', 'norm1', 'norm2', 'norm3')

Watch = Callable[[Sequence[str]], Iterable[str]]


def load(
    folder: Path, config: ViVaConfig, ranges: JointRanges, embeddings: Embeddings | None = None,
    dtype: torch.dtype = torch.float32, watch: Watch = iter,
) -> ViVa:  # fmt: skip
    """
    Give a model with the weights of a published folder, on the CPU.

    :param folder: with model_index.json, transformer/, vae/ and scheduler/; no other is read
    :param ranges: of the joints, by the configuration's names
    :param embeddings: of its tasks; none for a configuration whose texts are hashed
    :param dtype: of the transformer, float32 or bfloat16; the VAE and KEPT stay in float32
    :param watch: goes through the names of the weights, for a progress bar
    :raises EngineError: naming file and key that are missing, unexpected or do not fit
    :raises ConfigurationError: if a task has no embedding
    """
    config = layout.check(folder, config)
    config, text = table(config, embeddings)
    transformer, vae = Shards(folder / 'transformer', STEM), Shards(folder / 'vae', STEM)
    model = blank(config, ranges, text)
    video = without_memory(lambda: make_video_vae(config.vae))
    check_shapes(transformer.source, _shapes(model.transformer), transformer.shapes)
    check_shapes(vae.source, _shapes(video), vae.shapes)
    whole: dict[str, Tensor] = {}
    names = [f'transformer.{name}' for name in transformer.shapes]
    names += [f'vae.{name}' for name in vae.shapes if is_folded(name)]
    for path in watch(names):
        part, _, name = path.partition('.')
        if part == 'vae':
            whole[path] = fold_weight(name, vae.tensor(name, torch.float32))
        else:
            whole[path] = transformer.tensor(name, dtype_of(name, dtype))
    fill(model, whole)
    return model.eval()


def dtype_of(name: str, dtype: torch.dtype) -> torch.dtype:
    """Give the type that a weight of the transformer has in a model of some type."""
    return torch.float32 if set(name.split('.')) & set(KEPT) else dtype


def _shapes(module: nn.Module) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
