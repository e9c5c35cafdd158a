# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A light head on a frozen video generator: what its first blocks know, read without the others.

The blocks see what ``ViVa`` sees, target frames from pure noise included; of each target frame one
attention-weighted mean of its features is read by a small perceptron. Whatever comes after the
exit is not computed. (The lesson of Video Policy: features of a video backbone feed a light head.)
"""

from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges
from viva_ros.model import latents
from viva_ros.model import noise as draws
from viva_ros.model.config import ViVaConfig
from viva_ros.model.latents import IMAGES, PROPRIO, Goals, Targets
from viva_ros.model.viva import FULL_TIME, ViVa

HIDDEN: Final = 256


class ReadOut(nn.Module):
    """
    From the features of one target frame to its numbers.

    :param width: of the features
    :param count: of the numbers
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.weight = nn.Linear(width, 1)
        self.layers = nn.Sequential(nn.Linear(width, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, count))

    def forward(self, features: Tensor) -> Tensor:
        """Read: (B, tokens, width) to (B, count)."""
        normal = self.norm(features)
        share = self.weight(normal).softmax(dim=1)
        return self.layers((share * normal).sum(dim=1))


class EarlyExit(nn.Module):
    """
    The first blocks of a ViVa and a head; used as ``ViVa`` is.

    :param config: of a transformer with as many layers as are used
    :param ranges: of the joints
    :param text: see ``ViVa``
    :raises ValueError: if future images are to be read, which no light head draws
    """

    def __init__(
        self, config: ViVaConfig, ranges: JointRanges, text: Tensor | None = None
    ) -> None:
        super().__init__()
        if IMAGES in config.targets:
            raise ValueError(f'targets are {config.targets}, a head does not read {IMAGES}')
        self.viva = ViVa(config, ranges, text)
        size = config.transformer
        width = size.num_attention_heads * size.attention_head_dim
        joints = len(config.joint_names)
        self.head = nn.ModuleDict(
            {name: ReadOut(width, joints if name == PROPRIO else 1) for name in config.targets}
        )

    @classmethod
    def of(cls, viva: ViVa, blocks: int) -> 'EarlyExit':
        """
        Put a new head on the first blocks of a model; its weights are shared, and frozen.

        :raises ValueError: if it has fewer blocks
        """
        layers = viva.config.transformer.num_layers
        if not 1 <= blocks <= layers:
            raise ValueError(f'blocks is {blocks}, must be 1 to {layers}')
        config = replace(
            viva.config, transformer=replace(viva.config.transformer, num_layers=blocks)
        )
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
        """Of the joints."""
        return self.viva.ranges

    @property
    def targets(self) -> Targets:
        """Return what is read."""
        return self.viva.targets

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what ``forward`` gives."""
        return self.viva.outputs

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.viva.device

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """See ``ViVa``."""
        return self.viva.encode_pixels(pixels)

    def normalise_latents(self, raw: Tensor) -> Tensor:
        """See ``ViVa``."""
        return self.viva.normalise_latents(raw)

    def features(self, images: Tensor, proprio: Tensor, task: Tensor) -> Tensor:
        """
        Return what the last block used makes of the target frames.

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
        Read the target frames, as if they were denoised: (B, C, targets, H, W).

        :param images: latents, (B, V, C, H, W)
        :param proprio: (B, J), normalised
        """
        features, shape = self.features(images, proprio, task), self.config.latent_shape
        frames = []
        for name, place in self.targets.places.items():
            numbers = self.head[name](features[:, place].flatten(1, 2))
            inject = latents.inject_proprio if name == PROPRIO else _inject_number
            frames.append(inject(numbers, shape))
        return torch.stack(frames, dim=2)

    def loss(
        self, images: Tensor, proprio: Tensor, goals: Goals, task: Tensor,
        source: draws.Source = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """
        Return the squared errors of what is read, weighed as ViVa's.

        :param source: not used: nothing is drawn
        """
        clean = self.targets.clean(goals, self.config.latent_shape)
        errors = (self.denoise(images, proprio, task) - clean).square().mean(dim=(1, 3, 4))
        return self.targets.weigh(errors, goals)

    def read(self, frames: Tensor) -> tuple[Tensor, ...]:
        """See ``ViVa``."""
        return self.viva.read(frames)

    def forward(self, images: Tensor, proprio: Tensor, task: Tensor) -> tuple[Tensor, ...]:
        """
        Estimate all ``outputs``; as ``ViVa.forward``.

        :param images: (B, V, H, W, 3) uint8
        :param proprio: (B, J), rad or m
        :param task: index, (B,)
        """
        joints = self.viva.normalise_joints(proprio)
        return self.read(self.denoise(self.viva.encode(images), joints, task))


def _inject_number(numbers: Tensor, shape: tuple[int, int, int]) -> Tensor:
    return latents.inject_value(numbers[:, 0], shape)
