# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Load transformer and VAE of Wan2.2-TI2V into a ViVa, from a local folder as published.

Weights of folder and model must correspond one to one. The model gets memory as its weights are
loaded one by one, so the peak is the model and its largest tensor.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges
from viva_ros.model import wan_files
from viva_ros.model.checkpoint import blank, fill, without_memory
from viva_ros.model.config import VaeConfig, ViVaConfig
from viva_ros.model.text import Embeddings, table
from viva_ros.model.vae import FrameVae
from viva_ros.model.viva import ViVa
from viva_ros.model.wan_files import Shape, Shards, check_shapes


def make_video_vae(
    config: VaeConfig, mean: Tensor | None = None, std: Tensor | None = None
) -> AutoencoderKLWan:
    """
    Build the VAE of diffusers with random weights.

    :param mean: of each latent channel, (C,), stored in its config; None for its default
    :param std: of each latent channel, (C,); None for its default
    """
    values = {'latents_mean': mean, 'latents_std': std}
    statistics = {key: value.tolist() for key, value in values.items() if value is not None}
    return AutoencoderKLWan(**config.arguments(), **statistics)


def fold(vae: AutoencoderKLWan, config: VaeConfig) -> FrameVae:
    """Return the single-frame form with the same weights."""
    frame_vae = FrameVae(config)
    frame_vae.load_state_dict(fold_weights(vae.state_dict()))
    return frame_vae


def unfold(
    frame_vae: FrameVae, config: VaeConfig, mean: Tensor | None = None, std: Tensor | None = None
) -> AutoencoderKLWan:
    """Return the video VAE that is equal on single frames; its other temporal taps are 0."""
    vae = make_video_vae(config, mean, std)
    vae.load_state_dict(unfold_weights(frame_vae.state_dict(), vae.state_dict()))
    return vae


def fold_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights for single frames: the last temporal tap, no temporal convolution."""
    return {name: fold_weight(name, w) for name, w in weights.items() if is_folded(name)}


def unfold_weights(folded: Mapping[str, Tensor], video: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """
    Expand single-frame weights to the shapes of a video VAE.

    :param video: state dictionary of the video VAE, for names and shapes
    """
    return {name: _unfold(folded.get(name), weight) for name, weight in video.items()}


def is_folded(name: str) -> bool:
    """Return whether single frames need a weight of the video VAE."""
    return '.time_conv.' not in name


def fold_weight(name: str, weight: Tensor) -> Tensor:
    """Return the single-frame part of a weight of the video VAE."""
    if weight.ndim == 5:
        return weight[:, :, -1].clone()
    return weight.flatten()[:, None, None].clone() if name.endswith('.gamma') else weight.clone()


def _unfold(folded: Tensor | None, like: Tensor) -> Tensor:
    weight = torch.zeros_like(like)
    if folded is None:
        return weight
    if like.ndim == 5:
        weight[:, :, -1] = folded
        return weight
    return folded.reshape(like.shape).clone()


STEM: Final = 'diffusion_pytorch_model'
#: Parts that always stay in float32, as in diffusers: small and sensitive to rounding.
KEPT: Final = ('rope', 'time_embedder', 'scale_shift_table', 'norm1', 'norm2', 'norm3')

Watch = Callable[[Sequence[str]], Iterable[str]]


def load(
    folder: Path, config: ViVaConfig, ranges: JointRanges, embeddings: Embeddings | None = None,
    dtype: torch.dtype = torch.float32, watch: Watch = iter, with_transformer: bool = True,
) -> ViVa:  # fmt: skip
    """
    Return a model with the weights of a published folder, on the CPU.

    :param folder: with model_index.json, transformer/, vae/ and scheduler/; others are not read
    :param ranges: of the joints of the configuration
    :param embeddings: of its tasks; None for a configuration that hashes its texts
    :param dtype: of the transformer, float32 or bfloat16; the VAE and KEPT stay in float32
    :param watch: wraps the names of the weights, for a progress bar
    :param with_transformer: whether the transformer gets memory and weights
    :raises EngineError: with file and key that are missing, unexpected or do not fit
    :raises ConfigurationError: if a task has no embedding
    """
    config = wan_files.check(folder, config)
    config, text = table(config, embeddings)
    transformer, vae = Shards(folder / 'transformer', STEM), Shards(folder / 'vae', STEM)
    model = blank(config, ranges, text)
    video = without_memory(lambda: make_video_vae(config.vae))
    check_shapes(transformer.source, _shapes(model.transformer), transformer.shapes)
    check_shapes(vae.source, _shapes(video), vae.shapes)
    whole: dict[str, Tensor] = {}
    names = [f'transformer.{name}' for name in transformer.shapes if with_transformer]
    names += [f'vae.{name}' for name in vae.shapes if is_folded(name)]
    for path in watch(names):
        part, _, name = path.partition('.')
        if part == 'vae':
            whole[path] = fold_weight(name, vae.tensor(name, torch.float32))
        else:
            whole[path] = transformer.tensor(name, dtype_of(name, dtype))
    fill(model, whole, '' if with_transformer else 'transformer')
    return model.eval()


def dtype_of(name: str, dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of a weight of the transformer in a model of this dtype."""
    return torch.float32 if set(name.split('.')) & set(KEPT) else dtype


def _shapes(module: nn.Module) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
