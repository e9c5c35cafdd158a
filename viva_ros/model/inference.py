# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
ViVa for one denoising step, with all that does not depend on the input computed beforehand.

Exact, not approximate: time is fixed at tau = 1, the noise is fixed, the text is one of a few. So
modulations, noisy tokens and the keys and values of the text are constants; in the last block only
the target frames are followed; latent statistics fold into the encoder's last convolution; the
value is one dot product. No scheduler: z_0 = z_1 - v. Weights of what became constant are gone.
"""

import torch
from torch import Tensor, nn

from viva_ros.model import latents
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.lean_blocks import Block
from viva_ros.model.lean_reading import Denoised, Headed
from viva_ros.model.lean_text import TextKeys
from viva_ros.model.viva import FULL_TIME, ViVa, denormalise, normalise

Model = ViVa | EarlyExit


class LeanViVa(nn.Module):
    """
    The same numbers as ``ViVa.forward`` with one step, or ``EarlyExit.forward``.

    :param model: its weights are copied where they are folded, else shared
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        viva = model.viva if isinstance(model, EarlyExit) else model
        self.config, self.ranges = viva.config, viva.ranges
        self.targets, self.outputs = viva.targets, viva.outputs
        transformer, count = viva.transformer, viva.targets.count
        with torch.no_grad():
            self.encoder = _encoder(viva)
            time, modulation = _modulations(viva)
            text = TextKeys.of(viva.text, transformer.condition_embedder.text_embedder)
            rotation = _rotation(viva)
            self.patch = transformer.patch_embedding
            self.register_buffer('noisy', self._embed(viva.noise[None]))
            last = len(transformer.blocks) - 1
            followed = count, count * viva.config.tokens_per_frame
            self.blocks = nn.ModuleList(
                Block(block, modulation, text, rotation, followed if i == last else None)
                for i, block in enumerate(transformer.blocks)
            )
            reading = Headed(model) if isinstance(model, EarlyExit) else Denoised(viva, time)
            self.reading = reading
        self.register_buffer('low', viva.low.clone(), persistent=False)
        self.register_buffer('span', viva.span.clone(), persistent=False)

    @property
    def precision(self) -> torch.dtype:
        """Of its arithmetic; joints are scaled in float32 whatever it is."""
        return self.noisy.dtype

    def to_precision(self, precision: torch.dtype) -> 'LeanViVa':
        """Convert weights and constants; estimates stay float32."""
        for part in (self.encoder, self.patch, self.blocks, self.reading):
            part.to(precision)
        self.noisy = self.noisy.to(precision)
        return self

    def forward(self, images: Tensor, proprio: Tensor, task: Tensor) -> tuple[Tensor, ...]:
        """
        Estimate all ``outputs``; as ``ViVa.forward``.

        :param images: (B, V, H, W, 3) uint8
        :param proprio: (B, J), rad or m
        :param task: index, (B,)
        """
        # A library that takes bytes wants them converted first.
        views = self.encode(images.to(self.precision).flatten(0, 1))
        views = views.unflatten(0, (-1, len(self.config.cameras)))
        return self.estimate(views, proprio, task)

    def encode(self, images: Tensor) -> Tensor:
        """
        Encode single views, each as it arrives.

        :param images: (N, H, W, 3), 0 to 255
        :returns: normalised latents, (N, C, H/16, W/16)
        """
        p, kind = self.config.vae.patch_size, self.precision
        height, width = (side // p for side in self.config.image_size)
        pixels = images.to(kind) / 127.5 - 1
        patches = pixels.reshape(-1, height, p, width, p, 3).permute(0, 5, 4, 2, 1, 3)
        return self.encoder(patches.reshape(-1, 3 * p * p, height, width))

    def estimate(self, views: Tensor, proprio: Tensor, task: Tensor) -> tuple[Tensor, ...]:
        """
        Estimate from views that are encoded.

        :param views: (B, V, C, H/16, W/16)
        """
        joints = normalise(proprio, self.low, self.span).to(self.precision)
        tokens = self._embed(latents.conditioning(joints, views))
        x = torch.cat([tokens, self.noisy.expand(tokens.shape[0], -1, -1)], dim=1)
        for block in self.blocks:
            x = block(x, task)
        found = self.targets.tell(*self.reading(x))
        if 'forecast' in found:
            found['forecast'] = denormalise(found['forecast'], self.low, self.span)
        return tuple(found[name] for name in self.outputs)

    def _embed(self, video: Tensor) -> Tensor:
        """Give tokens: (B, C, F, H, W) to (B, tokens, D)."""
        return self.patch(video).flatten(2).transpose(1, 2)


def _encoder(viva: ViVa) -> nn.Sequential:
    """Give the encoder on patches, its last convolution telling normalised means."""
    encoder, folded = viva.vae.encoder, _fold_encoder_out(viva)
    return nn.Sequential(
        encoder.conv_in, *encoder.down_blocks, encoder.mid_block, encoder.norm_out, nn.SiLU(),
        folded,
    )  # fmt: skip


def _modulations(viva: ViVa) -> tuple[Tensor, Tensor]:
    """Give time embedding, (1 or F, D), and modulations, (1 or F, 6, D), at tau = 1."""
    embedder, config = viva.transformer.condition_embedder, viva.config
    times = torch.full((1,), FULL_TIME)
    if config.per_token_times:
        times = torch.zeros(config.frames)
        times[-viva.targets.count :] = FULL_TIME
    time, modulation, _, _ = embedder(times, viva.text[:1])
    return time, modulation.unflatten(1, (6, -1))


def _rotation(viva: ViVa) -> tuple[Tensor, Tensor]:
    """Give cosines and sines of each token, (tokens, head_dim / 2)."""
    channels, _, height, width = viva.noise.shape
    cos, sin = viva.transformer.rope(torch.zeros(1, channels, viva.config.frames, height, width))
    return cos[0, :, 0, 0::2], sin[0, :, 0, 1::2]


def _fold_encoder_out(viva: ViVa) -> nn.Conv2d:
    """Put last convolution, posterior mean and channel statistics into one convolution."""
    last, mean = viva.vae.encoder.conv_out, viva.vae.quant_conv
    channels = viva.config.vae.z_dim
    folded = nn.Conv2d(last.in_channels, channels, 3, padding=1)
    scale = 1 / viva.latents_std.double()
    mix = mean.weight[:channels, :, 0, 0].double() * scale[:, None]
    folded.weight.copy_(torch.einsum('oc,cihw->oihw', mix, last.weight.double()))
    offset = (mean.bias[:channels].double() - viva.latents_mean.double()) * scale
    folded.bias.copy_(mix @ last.bias.double() + offset)
    return folded
