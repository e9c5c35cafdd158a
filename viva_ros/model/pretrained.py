# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A ViVa that begins as Wan2.2-TI2V: transformer and VAE from a local folder as it is published.

All or nothing: each weight of the folder has its place in the model and the other way round. The
model takes memory only when its weights come, one after the other, so that the peak is the model
itself and its largest tensor.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges
from viva_ros.model import wan_files as layout
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
    Build diffusers' VAE with random weights.

    :param mean: of each latent channel, (C,), kept in its config as Wan does; else its own default
    :param std: likewise
    """
    given = {'latents_mean': mean, 'latents_std': std}
    statistics = {key: value.tolist() for key, value in given.items() if value is not None}
    return AutoencoderKLWan(**config.arguments(), **statistics)


def fold(vae: AutoencoderKLWan, config: VaeConfig) -> FrameVae:
    """Return the single-frame form with the same weights."""
    frame_vae = FrameVae(config)
    frame_vae.load_state_dict(fold_weights(vae.state_dict()))
    return frame_vae


def unfold(
    frame_vae: FrameVae, config: VaeConfig, mean: Tensor | None = None, std: Tensor | None = None
) -> AutoencoderKLWan:
    """Return the video VAE that does the same on single frames; its other taps are zeros."""
    vae = make_video_vae(config, mean, std)
    vae.load_state_dict(unfold_weights(frame_vae.state_dict(), vae.state_dict()))
    return vae


def fold_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keep what one frame needs: the last temporal tap, and no temporal convolution."""
    return {name: fold_weight(name, w) for name, w in weights.items() if is_folded(name)}


def unfold_weights(folded: Mapping[str, Tensor], video: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """
    Spread single-frame weights over the shapes of a video VAE.

    :param video: its state dictionary, for names and shapes
    """
    return {name: _unfold(folded.get(name), weight) for name, weight in video.items()}


def is_folded(name: str) -> bool:
    """Return whether a weight of the video VAE matters to single frames."""
    return '.time_conv.' not in name


def fold_weight(name: str, weight: Tensor) -> Tensor:
    """Return what one frame needs of a weight of the video VAE."""
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
#: Parts that stay in float32 whatever the rest is in, as in diffusers: small, and they decide.
KEPT: Final = ('rope', 'time_embedder', 'scale_shift_table', 'norm1', 'norm2', 'norm3')

Watch = Callable[[Sequence[str]], Iterable[str]]


def load(
    folder: Path, config: ViVaConfig, ranges: JointRanges, embeddings: Embeddings | None = None,
    dtype: torch.dtype = torch.float32, watch: Watch = iter,
) -> ViVa:  # fmt: skip
    """
    Return a model with the weights of a published folder, on the CPU.

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
    """Return the type that a weight of the transformer has in a model of some type."""
    return torch.float32 if set(name.split('.')) & set(KEPT) else dtype


def _shapes(module: nn.Module) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
