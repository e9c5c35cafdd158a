# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The VAE for single frames; its blocks have the parameter names of diffusers."""

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from viva_ros.model.config import VaeConfig


class ChannelNorm(nn.Module):
    """Normalise each pixel's channels to unit root mean square, then scale them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = dim**0.5
        self.gamma = nn.Parameter(torch.ones(dim, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1) * (self.scale * self.gamma)


class ResidualBlock(nn.Module):
    """WanResidualBlock on one frame."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(in_dim)
        self.conv1 = nn.Conv2d(in_dim, out_dim, 3, padding=1)
        self.norm2 = ChannelNorm(out_dim)
        self.conv2 = nn.Conv2d(out_dim, out_dim, 3, padding=1)
        same = in_dim == out_dim
        self.conv_shortcut = nn.Identity() if same else nn.Conv2d(in_dim, out_dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return self.conv2(F.silu(self.norm2(h))) + self.conv_shortcut(x)


class AttentionBlock(nn.Module):
    """WanAttentionBlock on one frame: one head over all pixels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(dim)
        self.to_qkv = nn.Conv2d(dim, dim * 3, 1)
        self.proj = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, dim, height, width = x.shape
        qkv = self.to_qkv(self.norm(x)).reshape(batch, 3, 1, dim, height * width)
        attended = F.scaled_dot_product_attention(*qkv.transpose(3, 4).unbind(1))
        return x + self.proj(attended.transpose(2, 3).reshape(batch, dim, height, width))


class MidBlock(nn.Module):
    """Residual block, attention, residual block."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([AttentionBlock(dim)])
        self.resnets = nn.ModuleList([ResidualBlock(dim, dim), ResidualBlock(dim, dim)])

    def forward(self, x: Tensor) -> Tensor:
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class AverageDown(nn.Module):
    """AvgDown3D on one frame: means of pixels and channels, as a constant convolution."""

    def __init__(self, in_dim: int, out_dim: int, factor_t: int, factor_s: int) -> None:
        super().__init__()
        factor = factor_t * factor_s**2
        group = in_dim * factor // out_dim
        taken = torch.zeros(out_dim, in_dim * factor, device='cpu')
        for row in range(out_dim):
            taken[row, row * group : (row + 1) * group] = 1.0 / group
        # Of the factor_t frames only the last is present; the padding before it is zeros.
        taken = taken.view(out_dim, in_dim, factor_t, factor_s, factor_s)[:, :, -1]
        self.register_buffer('taken', taken.contiguous(), persistent=False)
        self.factor_s = factor_s

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.taken, stride=self.factor_s)


class DuplicateUp(nn.Module):
    """DupUp3D on a first frame: channels repeated, then spread over pixels."""

    def __init__(self, in_dim: int, out_dim: int, factor_t: int) -> None:
        super().__init__()
        factor = factor_t * 4
        source = torch.arange(out_dim * factor, device='cpu') // (out_dim * factor // in_dim)
        source = source.view(out_dim, factor_t, 4)[:, -1].flatten()
        self.register_buffer('source', source, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(x[:, self.source], 2)


class Resample(nn.Module):
    """WanResample on a first frame; ``resample.1`` is its convolution."""

    def __init__(self, dim: int, up: bool) -> None:
        super().__init__()
        before = nn.Upsample(scale_factor=2.0, mode='nearest-exact') if up else nn.Identity()
        conv = nn.Conv2d(dim, dim, 3, padding=1) if up else nn.Conv2d(dim, dim, 3, stride=2)
        self.resample = nn.Sequential(before, conv)
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        return self.resample(x if self.up else F.pad(x, (0, 1, 0, 1)))


class DownBlock(nn.Module):
    """WanResidualDownBlock on one frame."""

    def __init__(self, in_dim: int, out_dim: int, depth: int, temporal: bool, down: bool) -> None:
        super().__init__()
        self.avg_shortcut = AverageDown(in_dim, out_dim, 1 + temporal, 1 + down)
        dims = [in_dim] + [out_dim] * depth
        self.resnets = nn.ModuleList(ResidualBlock(*pair) for pair in pairwise(dims))
        self.downsampler = Resample(out_dim, up=False) if down else None

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for resnet in self.resnets:
            h = resnet(h)
        if self.downsampler is not None:
            h = self.downsampler(h)
        return h + self.avg_shortcut(x)


class UpBlock(nn.Module):
    """WanResidualUpBlock on a first frame."""

    def __init__(self, in_dim: int, out_dim: int, depth: int, temporal: bool, up: bool) -> None:
        super().__init__()
        self.avg_shortcut = DuplicateUp(in_dim, out_dim, 1 + temporal) if up else None
        dims = [in_dim] + [out_dim] * (depth + 1)
        self.resnets = nn.ModuleList(ResidualBlock(*pair) for pair in pairwise(dims))
        self.upsampler = Resample(out_dim, up=True) if up else None

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for resnet in self.resnets:
            h = resnet(h)
        if self.upsampler is None or self.avg_shortcut is None:
            return h
        return self.upsampler(h) + self.avg_shortcut(x)


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
        self.norm_out = ChannelNorm(dims[-1])
        self.conv_out = nn.Conv2d(dims[-1], 2 * config.z_dim, 3, padding=1)

    def features(self, x: Tensor) -> Tensor:
        """Return the input of the last convolution: (B, D, H/16, W/16)."""
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
        self.norm_out = ChannelNorm(dims[-1])
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
        Return mean and log-variance of the posterior.

        :param pixels: (B, 3, H, W)
        :returns: (B, C, H/16, W/16) each; the log-variance is clamped as in diffusers
        """
        mean, logvar = self.quant_conv(self.encoder(self.patchify(pixels))).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the posterior's mode: (B, 3, H, W) to (B, C, H/16, W/16)."""
        return self.moments(pixels)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Return pixels, clamped to [-1, 1]: (B, C, H/16, W/16) to (B, 3, H, W)."""
        return self.reconstruct(latents).clamp(-1.0, 1.0)

    def reconstruct(self, latents: Tensor) -> Tensor:
        """Decode without clamping, for training."""
        patches = self.decoder(self.post_quant_conv(latents))  # (B, 3 pw ph, H/p, W/p)
        batch, _, height, width = patches.shape
        p = self.patch
        spread = patches.view(batch, 3, p, p, height, width).permute(0, 1, 4, 3, 5, 2)
        return spread.reshape(batch, 3, height * p, width * p)

    def patchify(self, pixels: Tensor) -> Tensor:
        """Move pixels of p x p patches to channels, in the order of Wan: colour, column, row."""
        batch, _, height, width = pixels.shape
        p = self.patch
        parts = pixels.reshape(batch, 3, height // p, p, width // p, p).permute(0, 1, 5, 3, 2, 4)
        return parts.reshape(batch, 3 * p * p, height // p, width // p)
