# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One estimate by the released recipe: diffusers' classes as they come, with the same weights.

Each view goes through the video VAE as a clip of one frame; a scheduler object gives the one
step; the text is read by the transformer every time; all frames are followed to the end.
"""

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn

from viva_ros.model import latents
from viva_ros.model.fold import unfold
from viva_ros.model.viva import ViVa, to_pixels


class StockViVa(nn.Module):
    """Gives what ``ViVa.forward`` gives, without any of its savings."""

    def __init__(self, viva: ViVa) -> None:
        super().__init__()
        self.viva = viva
        self.vae = unfold(viva.vae, viva.config.vae).eval()
        self.scheduler = FlowMatchEulerDiscreteScheduler(shift=viva.config.shift)

    def forward(self, images: Tensor, proprio: Tensor, task: Tensor) -> tuple[Tensor, ...]:
        """Estimate all outputs; as ``ViVa.forward``."""
        viva = self.viva
        pixels = to_pixels(images.flatten(0, 1))[:, :, None]  # (B V, 3, 1, H, W)
        raw = self.vae.encode(pixels).latent_dist.mode()[:, :, 0]
        views = viva.normalise_latents(raw).unflatten(0, images.shape[:2])
        clean = latents.conditioning(viva.normalise_joints(proprio), views)
        noise = viva.noise.expand(len(images), *viva.noise.shape)
        self.scheduler.set_timesteps(1)
        for time in self.scheduler.timesteps:
            video = torch.cat([clean, noise], dim=2)
            tau = time.expand(len(images)) / 1000.0
            velocity = viva.velocity(video, tau, viva.targets.count, task)
            flow = velocity[:, :, -viva.targets.count :]
            noise = self.scheduler.step(flow, time, noise, return_dict=False)[0]
        return viva.read(noise)
