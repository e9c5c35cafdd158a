# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the lean form reads from the target frames' tokens, without making the frames."""

from torch import Tensor, nn

from viva_ros.model import latents
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.lean_blocks import Modulation
from viva_ros.model.targets import PROPRIO, SUCCESS, VALUE
from viva_ros.model.viva import ViVa

Reading = tuple[dict[str, Tensor], Tensor | None]


class Denoised(nn.Module):
    """
    One denoising step, z_0 = z_1 - v, and the mean of each frame of one number.

    A mean of what a linear layer gives is one dot product with the mean of its rows.

    :param time: embedded, (1 or F, D)
    """

    def __init__(self, viva: ViVa, time: Tensor) -> None:
        super().__init__()
        transformer, self.config, self.targets = viva.transformer, viva.config, viva.targets
        shift, scale = (transformer.scale_shift_table + time[:, None]).unbind(1)
        count = viva.targets.count if len(shift) > 1 else 1
        self.norm = Modulation(shift[-count:], scale[-count:], transformer.norm_out.eps)
        self.projection = transformer.proj_out if PROPRIO in viva.targets.names else None
        self.register_buffer('weight', transformer.proj_out.weight.mean(dim=0))
        self.register_buffer('bias', transformer.proj_out.bias.mean())
        places = viva.targets.places
        numbers = [name for name in (VALUE, SUCCESS) if name in places]
        self.means = {n: float(viva.noise[:, places[n]].mean()) for n in numbers}
        if self.projection is not None:
            self.register_buffer('noise', viva.noise[None, :, places[PROPRIO]].clone())

    def forward(self, x: Tensor) -> Reading:
        """
        Read.

        :param x: the target frames' tokens, (B, tokens, D)
        :returns: as ``Targets.tell`` wants it
        """
        frames = self.norm(x).unflatten(1, (self.targets.count, -1))  # (B, frames, tokens, D)
        means = {}
        for name, noise in self.means.items():
            token = frames[:, self.targets.places[name].start].mean(dim=1)
            means[name] = noise - ((token * self.weight).sum(dim=1) + self.bias).float()
        if self.projection is None:
            return means, None
        frame = frames[:, self.targets.places[PROPRIO].start]
        clean = (self.noise - self._unpatchify(self.projection(frame))).float()
        return means, latents.read_proprio(clean, len(self.config.joint_names))

    def _unpatchify(self, x: Tensor) -> Tensor:
        """Patches of one frame to latents: (B, tokens, p p C) to (B, C, 1, H, W)."""
        channels, height, width = self.config.latent_shape
        _, p, q = self.config.transformer.patch_size
        x = x.reshape(-1, height // p, width // q, p, q, channels)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(-1, channels, 1, height, width)


class Headed(nn.Module):
    """The head of an early exit: its numbers are read as they are."""

    def __init__(self, model: EarlyExit) -> None:
        super().__init__()
        self.targets, self.head = model.targets, model.head

    def forward(self, x: Tensor) -> Reading:
        """See ``Denoised``."""
        frames = x.unflatten(1, (self.targets.count, -1))
        found = {
            name: self.head[name](frames[:, place].flatten(1, 2)).float()
            for name, place in self.targets.places.items()
        }
        return {n: found[n][:, 0] for n in found if n != PROPRIO}, found.get(PROPRIO)
