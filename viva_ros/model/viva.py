# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ViVa: a video generator that denoises future proprioception and value (arXiv 2604.08168)."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, TypeVar

import torch
from diffusers import WanTransformer3DModel
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges
from viva_ros.model import latents
from viva_ros.model.config import REGRESSION, ViVaConfig
from viva_ros.model.cost import encoding_chunk
from viva_ros.model.latents import Goals, Targets
from viva_ros.model.noise import Device, Source, normal, uniform
from viva_ros.model.text import table
from viva_ros.model.vae import FrameVae


def interpolate(clean: Tensor, noise: Tensor, tau: Tensor) -> Tensor:
    """Return the point of the path at tau, (B,)."""
    tau = tau.view(-1, *[1] * (clean.ndim - 1))
    return (1 - tau) * clean + tau * noise


def flow_velocity(clean: Tensor, noise: Tensor) -> Tensor:
    """Return the target of the network: the constant derivative of the path by tau."""
    return noise - clean


Level = TypeVar('Level', float, Tensor)


def shift_tau(s: Level, shift: float) -> Level:
    """Shift times towards noise: tau = shift s / (1 + (shift - 1) s)."""
    return shift * s / (1 + (shift - 1) * s)


def draw_tau(
    count: int, shift: float, noise_share: float, source: Source = None,
    device: Device = None,
) -> Tensor:  # fmt: skip
    """
    Draw noise levels for training.

    :param noise_share: probability of tau = 1 exactly, the level of one-step inference; else the
        network could read the value, repeated over its frame, from the noisy frame near tau = 1
    :returns: (count,), in [0, 1]
    """
    tau = shift_tau(uniform((count,), source, device), shift)
    pure = uniform((count,), source, device) < noise_share
    return torch.where(pure, 1.0, tau)


def denoise(
    velocity: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int, shift: float
) -> Tensor:  # fmt: skip
    """
    Integrate the flow from noise to clean in Euler steps; one step is z_0 = z_1 - v.

    The steps are equal before they are shifted, as the noise levels of training are.

    :param velocity: function of noisy frames and tau, (B,)
    :param noise: z_1, (B, ...)
    :param shift: see ``shift_tau``; 1 for equal steps
    :raises ValueError: if steps is below 1
    """
    if steps < 1:
        raise ValueError(f'denoising steps are {steps}, must be at least 1')
    z = noise
    levels = [shift_tau(left / steps, shift) for left in range(steps, -1, -1)]
    for level, following in pairwise(levels):
        tau = torch.full((noise.shape[0],), level, dtype=z.dtype, device=z.device)
        z = z - velocity(z, tau) * (level - following)
    return z


FULL_TIME: Final = 1000.0  # timestep of the transformer at tau = 1


class ViVa(nn.Module):
    """
    The whole model: single-frame VAE, transformer, normalisation and outputs.

    :param ranges: of the joints, in the order of the configuration
    :param text: embeddings of the tasks, (tasks, tokens, width); None hashes the texts
    :raises ConfigurationError: if the configuration needs embeddings and ``text`` is None
    """

    def __init__(
        self, config: ViVaConfig, ranges: JointRanges, text: Tensor | None = None
    ) -> None:
        super().__init__()
        if ranges.names != config.joint_names:
            raise ValueError(f'ranges are of {ranges.names}, joints are {config.joint_names}')
        self.config, self.ranges = config, ranges
        self.targets = Targets(config.targets, len(config.cameras), config.lowest_progress)
        self.vae = FrameVae(config.vae)
        channels = config.latent_shape[0]
        self.transformer = WanTransformer3DModel(**config.transformer.arguments(channels))
        mean, std = config.vae.latents_mean, config.vae.latents_std
        self.register_buffer('latents_mean', _constant(mean or [0.0] * channels))
        self.register_buffer('latents_std', _constant(std or [1.0] * channels))
        self.register_buffer('text', table(config)[1] if text is None else text)
        self.register_buffer('noise', first_noise(config))
        low, high = _constant(ranges.low), _constant(ranges.high)
        self.register_buffer('low', low, persistent=False)
        self.register_buffer('span', high - low, persistent=False)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.noise.device

    @property
    def regresses(self) -> bool:
        """Whether the targets are learnt by regression, not by flow matching."""
        return self.config.objective == REGRESSION

    def encode(self, images: Tensor) -> Tensor:
        """
        Encode each view separately.

        :param images: (B, V, H, W, 3) uint8
        :returns: latents, normalised by channel, (B, V, C, H/16, W/16)
        """
        parts = images.flatten(0, 1).split(encoding_chunk(self.config))
        latent = torch.cat([self.encode_pixels(to_pixels(part)) for part in parts])
        return latent.unflatten(0, images.shape[:2])

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """
        Encode single views, at most ``cost.encoding_chunk`` at once.

        :param pixels: (B, 3, H, W) in [-1, 1]
        :returns: normalised latents, (B, C, H/16, W/16)
        """
        parts = pixels.split(encoding_chunk(self.config))
        return torch.cat([self.normalise_latents(self.vae.encode(part)) for part in parts])

    def normalise_latents(self, raw: Tensor) -> Tensor:
        """Shift and scale each channel: (B, C, H, W)."""
        return (raw - self.latents_mean[:, None, None]) / self.latents_std[:, None, None]

    def decode(self, normalised: Tensor) -> Tensor:
        """Decode latents of ``encode``: (B, C, H/16, W/16) to pixels in [-1, 1]."""
        raw = normalised * self.latents_std[:, None, None] + self.latents_mean[:, None, None]
        return self.vae.decode(raw)

    def normalise_joints(self, positions: Tensor) -> Tensor:
        """Scale (B, J), rad or m, to [-1, 1] as JointRanges, clamped; 0 without a span."""
        return normalise(positions, self.low, self.span)

    def denormalise_joints(self, normalised: Tensor) -> Tensor:
        """Return positions, (B, J), rad or m."""
        return denormalise(normalised, self.low, self.span)

    def velocity(self, video: Tensor, tau: Tensor, noisy: int, task: Tensor) -> Tensor:
        """
        Predict the velocity of all frames.

        :param video: (B, C, F, H, W), the last ``noisy`` frames at tau, those before clean
        :param tau: (B,)
        :param task: index, (B,)
        :returns: (B, C, F, H, W); valid for the noisy frames only
        """
        times = self.times(tau * FULL_TIME, video.shape[2], noisy)
        kind = self.transformer.patch_embedding.weight.dtype
        text = self.text[task].to(kind)
        return self.transformer(video.to(kind), times, text, return_dict=False)[0].float()

    def times(self, time: Tensor, frames: int, noisy: int) -> Tensor:
        """Return the times of the tokens of a video: (B,) for all tokens, or (B, tokens)."""
        if not self.config.per_token_times:
            return time
        is_noisy = torch.arange(frames, device=time.device) >= frames - noisy
        tokens = is_noisy.repeat_interleave(self.config.tokens_per_frame)
        return time[:, None] * tokens

    def loss(
        self, images: Tensor, proprio: Tensor, goals: Goals, task: Tensor,
        source: Source = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """
        Return the flow-matching loss on the target frames, or the squared error of regression.

        Regression is flow matching from noise that is zero, at tau = 1: the target of the network
        is then the negative of the clean frames.

        :param images: latents of ``encode``, (B, V, C, H, W)
        :param proprio: (B, J), normalised
        :returns: mean squared errors by target; 'total' is the loss to minimise
        """
        clean = self.targets.clean(goals, self.config.latent_shape)
        noise, tau = self._draw_noise(clean, source)
        noisy = interpolate(clean, noise, tau)
        video = torch.cat([latents.conditioning(proprio, images), noisy], dim=2)
        count = self.targets.count
        predicted = self.velocity(video, tau, count, task)[:, :, -count:]
        errors = (predicted - flow_velocity(clean, noise)).square().mean(dim=(1, 3, 4))
        return self.targets.weigh(errors, goals)

    def _draw_noise(self, clean: Tensor, source: Source) -> tuple[Tensor, Tensor]:
        """Return noise in the shape of the clean frames, and its levels, (B,)."""
        if self.regresses:
            return torch.zeros_like(clean), torch.ones(len(clean), device=clean.device)
        noise = normal(clean.shape, source, clean.device)
        return noise, draw_tau(
            len(clean), self.config.shift, self.config.noise_share, source, clean.device
        )

    def video_loss(self, clips: Tensor, task: Tensor, source: Source = None) -> Tensor:
        """
        Return the flow-matching loss of a video generator conditioned on the first frame.

        :param clips: latents of one camera over time, (B, C, F, H, W)
        """
        first, clean = clips[:, :, :1], clips[:, :, 1:]
        noise = normal(clean.shape, source, clean.device)
        tau = draw_tau(len(clean), self.config.shift, 0.0, source, clean.device)
        video = torch.cat([first, interpolate(clean, noise, tau)], dim=2)
        predicted = self.velocity(video, tau, clean.shape[2], task)[:, :, 1:]
        return (predicted - flow_velocity(clean, noise)).square().mean()

    def denoise(self, images: Tensor, proprio: Tensor, task: Tensor, steps: int = 1) -> Tensor:
        """
        Denoise the target frames from the fixed noise, which is zero after regression.

        :param images: latents, (B, V, C, H, W)
        :param proprio: (B, J), normalised
        :returns: (B, C, targets, H, W)
        :raises ValueError: if steps is below 1, or above 1 after regression, which knows no
            level but tau = 1
        """
        if self.regresses and steps > 1:
            raise ValueError(f'denoising steps are {steps}, must be 1 with regression')
        clean, count = latents.conditioning(proprio, images), self.targets.count
        noise = self.noise.expand(len(images), *self.noise.shape)

        def velocity(noisy: Tensor, tau: Tensor) -> Tensor:
            video = torch.cat([clean, noisy], dim=2)
            return self.velocity(video, tau, count, task)[:, :, -count:]

        return denoise(velocity, noise, steps, self.config.shift)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs of ``forward``: value; forecast, progress, success if denoised."""
        return self.targets.outputs

    def read(self, frames: Tensor) -> tuple[Tensor, ...]:
        """
        Read denoised target frames.

        :param frames: (B, C, targets, H, W)
        :returns: in the order of ``outputs``: V in [-1, 1], (B,); joints, (B, J), rad or m;
            progress and probability of success in [0, 1], (B,)
        """
        found = self.targets.read(frames, len(self.config.joint_names))
        if 'forecast' in found:
            found['forecast'] = self.denormalise_joints(found['forecast'])
        return tuple(found[name] for name in self.outputs)

    def forward(
        self, images: Tensor, proprio: Tensor, task: Tensor, steps: int = 1
    ) -> tuple[Tensor, ...]:
        """
        Return all ``outputs``.

        :param images: (B, V, H, W, 3) uint8, letterboxed to the configured size
        :param proprio: (B, J), rad or m
        :param task: index, (B,)
        :returns: see ``read``
        """
        joints = self.normalise_joints(proprio)
        return self.read(self.denoise(self.encode(images), joints, task, steps))


def normalise(positions: Tensor, low: Tensor, span: Tensor) -> Tensor:
    """Scale positions, (B, J), from low .. low + span to [-1, 1], clamped; 0 without a span."""
    moved = span > 0
    unit = (positions - low) / torch.where(moved, span, 1.0)
    return torch.where(moved, (2 * unit - 1).clamp(-1.0, 1.0), 0.0)


def denormalise(normalised: Tensor, low: Tensor, span: Tensor) -> Tensor:
    """Undo ``normalise``: (B, J)."""
    return low + (normalised + 1) * 0.5 * span


def to_pixels(images: Tensor) -> Tensor:
    """Return pixels in [-1, 1]: (B, H, W, 3) uint8 to (B, 3, H, W)."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def first_noise(config: ViVaConfig) -> Tensor:
    """
    Return what inference starts from, on the CPU: fixed noise, or zeros after regression.

    :returns: (C, targets, H/16, W/16)
    """
    channels, height, width = config.latent_shape
    count = Targets(config.targets, len(config.cameras)).count
    generator = torch.Generator('cpu').manual_seed(config.noise_seed)
    noise = torch.randn((channels, count, height, width), generator=generator, device='cpu')
    return torch.zeros_like(noise) if config.objective == REGRESSION else noise


def _constant(numbers: Sequence[float]) -> Tensor:
    """Return a tensor on the CPU, also inside ``torch.device('meta')``."""
    return torch.tensor(numbers, dtype=torch.float32, device='cpu')
