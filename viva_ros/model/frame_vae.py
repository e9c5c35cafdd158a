# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The exact single-frame form of diffusers' AutoencoderKLWan (Wan2.2 style), in two dimensions.

On one frame every causal 3x3x3 convolution is a 3x3 convolution with its last temporal tap, since
the frames before are zeros, and temporal resampling is skipped on a first chunk. Names are those
of AutoencoderKLWan, so that weights go over by name (``fold``).
"""

from itertools import pairwise

import torch.nn.functional as F  # noqa: N812, as everyone calls it
from torch import Tensor, nn

from viva_ros.model.config import VaeConfig
from viva_ros.model.vae import DownBlock, MidBlock, Norm, UpBlock


class Encoder(nn.Module):
    """WanEncoder3d on one frame: (B, 3 p^2, H/p, W/p) to (B, 2 C, H/16, W/16)."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        dims = [config.base_dim * mult for mult in (1, *config.dim_mult)]
        self.conv_in = nn.Conv2d(3 * config.patch_size**2, dims[0], 3, padding=1)
        temporal = (*config.temporal_downsample, False)
        self.down_blocks = nn.ModuleList(
            DownBlock(*pair, config.num_res_blocks, temporal[i], i < len(dims) - 2)
            for i, pair in enumerate(pairwise(dims))
        )
        self.mid_block = MidBlock(dims[-1])
        self.norm_out = Norm(dims[-1])
        self.conv_out = nn.Conv2d(dims[-1], 2 * config.z_dim, 3, padding=1)

    def features(self, x: Tensor) -> Tensor:
        """Give what the last convolution sees: (B, D, H/16, W/16)."""
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return F.silu(self.norm_out(self.mid_block(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.features(x))


class Decoder(nn.Module):
    """WanDecoder3d on a first frame: (B, C, H/16, W/16) to (B, 3 p^2, H/p, W/p)."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        mults = config.dim_mult[::-1]
        dims = [config.decoder_base_dim * mult for mult in (mults[0], *mults)]
        self.conv_in = nn.Conv2d(config.z_dim, dims[0], 3, padding=1)
        self.mid_block = MidBlock(dims[0])
        temporal = (*config.temporal_downsample[::-1], False)
        self.up_blocks = nn.ModuleList(
            UpBlock(*pair, config.num_res_blocks, temporal[i], i < len(dims) - 2)
            for i, pair in enumerate(pairwise(dims))
        )
        self.norm_out = Norm(dims[-1])
        self.conv_out = nn.Conv2d(dims[-1], 3 * config.patch_size**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class FrameVae(nn.Module):
    """AutoencoderKLWan for single frames, trainable; pixels in [-1, 1]."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.patch = config.patch_size
        self.encoder = Encoder(config)
        self.quant_conv = nn.Conv2d(2 * config.z_dim, 2 * config.z_dim, 1)
        self.post_quant_conv = nn.Conv2d(config.z_dim, config.z_dim, 1)
        self.decoder = Decoder(config)

    def moments(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """
        Give mean and log-variance of the posterior.

        :param pixels: (B, 3, H, W)
        :returns: twice (B, C, H/16, W/16); the log-variance clamped as diffusers does
        """
        mean, logvar = self.quant_conv(self.encoder(self.patchify(pixels))).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)

    def encode(self, pixels: Tensor) -> Tensor:
        """Give the posterior's mode: (B, 3, H, W) to (B, C, H/16, W/16)."""
        return self.moments(pixels)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Give pixels, clamped to [-1, 1]: (B, C, H/16, W/16) to (B, 3, H, W)."""
        return self.reconstruct(latents).clamp(-1.0, 1.0)

    def reconstruct(self, latents: Tensor) -> Tensor:
        """Decode without clamping, for training."""
        patches = self.decoder(self.post_quant_conv(latents))  # (B, 3 pw ph, H/p, W/p)
        batch, _, height, width = patches.shape
        p = self.patch
        spread = patches.view(batch, 3, p, p, height, width).permute(0, 1, 4, 3, 5, 2)
        return spread.reshape(batch, 3, height * p, width * p)

    def patchify(self, pixels: Tensor) -> Tensor:
        """Put pixels of a p x p patch into channels, in Wan's order: colour, column, row."""
        batch, _, height, width = pixels.shape
        p = self.patch
        parts = pixels.reshape(batch, 3, height // p, p, width // p, p).permute(0, 1, 5, 3, 2, 4)
        return parts.reshape(batch, 3 * p * p, height // p, width // p)
