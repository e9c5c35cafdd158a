# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Blocks of the single-frame VAE, named and parametrised as diffusers' own are."""

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812, as everyone calls it
from torch import Tensor, nn


class Norm(nn.Module):
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
        self.norm1 = Norm(in_dim)
        self.conv1 = nn.Conv2d(in_dim, out_dim, 3, padding=1)
        self.norm2 = Norm(out_dim)
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
        self.norm = Norm(dim)
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
        # Of the factor_t frames only the last is there, those padded before it are zeros.
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
