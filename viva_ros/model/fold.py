# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of AutoencoderKLWan to those of its single-frame form, and back."""

from collections.abc import Mapping

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor

from viva_ros.model.config import VaeConfig
from viva_ros.model.frame_vae import FrameVae


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
    """Give the single-frame form with the same weights."""
    frame_vae = FrameVae(config)
    frame_vae.load_state_dict(fold_weights(vae.state_dict()))
    return frame_vae


def unfold(
    frame_vae: FrameVae, config: VaeConfig, mean: Tensor | None = None, std: Tensor | None = None
) -> AutoencoderKLWan:
    """Give the video VAE that does the same on single frames; its other taps are zeros."""
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
    """Tell whether a weight of the video VAE matters to single frames."""
    return '.time_conv.' not in name


def fold_weight(name: str, weight: Tensor) -> Tensor:
    """Give what one frame needs of a weight of the video VAE."""
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
