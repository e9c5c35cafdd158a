# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A small head on the first blocks of a frozen video generator (early exit).

The blocks get the inputs of ``ViVa``, target frames from pure noise included. A perceptron reads
an attention-weighted mean of the features of each target frame. Later blocks are not computed. As
in Video Policy, features of a video backbone feed a small head.
"""

from dataclasses import replace
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges
from viva_ros.model import latents
from viva_ros.model.config import ViVaConfig
from viva_ros.model.latents import IMAGES, PROPRIO, VALUE, Goals, Targets
from viva_ros.model.noise import Source
from viva_ros.model.viva import FULL_TIME, ViVa

HIDDEN: Final = 256


class ReadOut(nn.Module):
    """
    Reads the numbers of one target frame from its features.

    :param width: of the features
    :param count: number of outputs
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.weight = nn.Linear(width, 1)
        self.layers = nn.Sequential(nn.Linear(width, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, count))

    def forward(self, features: Tensor) -> Tensor:
        """Return the outputs: (B, tokens, width) to (B, count)."""
        normal = self.norm(features)
        share = self.weight(normal).softmax(dim=1)
        return self.layers((share * normal).sum(dim=1))


class BinnedReadOut(ReadOut):
    """
    Reads the latent of the value frame as the mean of a distribution over bins in [-1, 1].

    :param width: of the features
    :param bins: number of bins, at least 2
    """

    def __init__(self, width: int, bins: int) -> None:
        super().__init__(width, bins)
        self.register_buffer('centres', torch.linspace(-1.0, 1.0, bins))

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits of the bins: (B, tokens, width) to (B, bins)."""
        return super().forward(features)

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean of the bins: (B, tokens, width) to (B, 1)."""
        return (self.logits(features).softmax(dim=1) @ self.centres)[:, None]

    def error(self, features: Tensor, latent: Tensor) -> Tensor:
        """
        Return the cross-entropy of the bin nearest to the latent.

        :param latent: (B,); outside [-1, 1] it counts as the outermost bin
        :returns: (B,)
        """
        last = len(self.centres) - 1
        nearest = ((latent + 1.0) * 0.5 * last).round().long().clamp(0, last)
        return F.cross_entropy(self.logits(features), nearest, reduction='none')


class EarlyExit(nn.Module):
    """
    The first blocks of a ViVa and a head, with the interface of ``ViVa``.

    :param config: of a transformer with the used blocks alone
    :param ranges: of the joints
    :param text: see ``ViVa``
    :raises ValueError: if the targets include images, which a head cannot produce
    """

    def __init__(
        self, config: ViVaConfig, ranges: JointRanges, text: Tensor | None = None
    ) -> None:
        super().__init__()
        if IMAGES in config.targets:
            raise ValueError(f'targets are {config.targets}, a head cannot have {IMAGES}')
        self.viva = ViVa(config, ranges, text)
        size = config.transformer
        width = size.num_attention_heads * size.attention_head_dim
        joints = len(config.joint_names)
        self.head = nn.ModuleDict(
            {name: ReadOut(width, joints if name == PROPRIO else 1) for name in config.targets}
        )
        if config.value_bins:
            self.head[VALUE] = BinnedReadOut(width, config.value_bins)

    @classmethod
    def of(cls, viva: ViVa, blocks: int, value_bins: int = 0) -> 'EarlyExit':
        """
        Return a new head on the first blocks of a model, whose weights are shared and frozen.

        :param value_bins: see ``ViVaConfig``
        :raises ValueError: if the model has fewer blocks
        """
        layers = viva.config.transformer.num_layers
        if not 1 <= blocks <= layers:
            raise ValueError(f'blocks is {blocks}, must be 1 to {layers}')
        transformer = replace(viva.config.transformer, num_layers=blocks)
        config = replace(viva.config, transformer=transformer, value_bins=value_bins)
        made = cls(config, viva.ranges, viva.text)
        kept = made.viva.state_dict().keys()
        state = {name: tensor for name, tensor in viva.state_dict().items() if name in kept}
        made.viva.load_state_dict(state, assign=True)
        made.viva.requires_grad_(False)
        return made.to(viva.device)

    @property
    def config(self) -> ViVaConfig:
        """See ``ViVa``."""
        return self.viva.config

    @property
    def ranges(self) -> JointRanges:
        """Ranges of the joints."""
        return self.viva.ranges

    @property
    def targets(self) -> Targets:
        """See ``ViVa``."""
        return self.viva.targets

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs of ``forward``."""
        return self.viva.outputs

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.viva.device

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """See ``ViVa``."""
        return self.viva.encode_pixels(pixels)

    def normalise_latents(self, raw: Tensor) -> Tensor:
        """See ``ViVa``."""
        return self.viva.normalise_latents(raw)

    def features(self, images: Tensor, proprio: Tensor, task: Tensor) -> Tensor:
        """
        Return the features of the target frames after the last used block.

        :param images: latents, (B, V, C, H, W)
        :param proprio: (B, J), normalised
        :returns: (B, targets, tokens of a frame, width)
        """
        viva, transformer = self.viva, self.viva.transformer
        noise = viva.noise.expand(len(images), *viva.noise.shape)
        video = torch.cat([latents.conditioning(proprio, images), noise], dim=2)
        kind = transformer.patch_embedding.weight.dtype
        x = transformer.patch_embedding(video.to(kind)).flatten(2).transpose(1, 2)
        rotation = transformer.rope(video)
        full = torch.full((len(images),), FULL_TIME, device=x.device)
        times = viva.times(full, video.shape[2], viva.targets.count)
        length = times.shape[1] if times.ndim == 2 else None
        _, modulation, text, _ = transformer.condition_embedder(
            times.flatten(), viva.text[task].to(kind), None, length
        )
        for block in transformer.blocks:
            x = block(x, text, modulation.unflatten(-1, (6, -1)), rotation)
        x = x[:, -viva.targets.count * viva.config.tokens_per_frame :].float()
        return x.unflatten(1, (viva.targets.count, -1))

    def denoise(self, images: Tensor, proprio: Tensor, task: Tensor) -> Tensor:
        """
        Return the target frames as ``ViVa.denoise`` does: (B, C, targets, H, W).

        :param images: latents, (B, V, C, H, W)
        :param proprio: (B, J), normalised
        """
        return self._frames(self.features(images, proprio, task))

    def _frames(self, features: Tensor) -> Tensor:
        frames, shape = [], self.config.latent_shape
        for name, place in self.targets.places.items():
            numbers = self.head[name](features[:, place].flatten(1, 2))
            inject = latents.inject_proprio if name == PROPRIO else _inject_number
            frames.append(inject(numbers, shape))
        return torch.stack(frames, dim=2)

    def loss(
        self, images: Tensor, proprio: Tensor, goals: Goals, task: Tensor,
        source: Source = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """
        Return the squared errors of the target frames, weighted as in ``ViVa.loss``.

        A value in bins has their cross-entropy in place of the squared error.

        :param source: not used, as no noise is drawn
        """
        clean = self.targets.clean(goals, self.config.latent_shape)
        features = self.features(images, proprio, task)
        errors = (self._frames(features) - clean).square().mean(dim=(1, 3, 4))
        head, place = self.head[VALUE], self.targets.places[VALUE]
        if isinstance(head, BinnedReadOut):
            latent = clean[:, :, place].mean(dim=(1, 2, 3, 4))
            errors = errors.clone()
            errors[:, place.start] = head.error(features[:, place].flatten(1, 2), latent)
        return self.targets.weigh(errors, goals)

    def read(self, frames: Tensor) -> tuple[Tensor, ...]:
        """See ``ViVa``."""
        return self.viva.read(frames)

    def forward(self, images: Tensor, proprio: Tensor, task: Tensor) -> tuple[Tensor, ...]:
        """
        Return all ``outputs``, as ``ViVa.forward``.

        :param images: (B, V, H, W, 3) uint8
        :param proprio: (B, J), rad or m
        :param task: index, (B,)
        """
        joints = self.viva.normalise_joints(proprio)
        return self.read(self.denoise(self.viva.encode(images), joints, task))


def _inject_number(numbers: Tensor, shape: tuple[int, int, int]) -> Tensor:
    return latents.inject_value(numbers[:, 0], shape)
