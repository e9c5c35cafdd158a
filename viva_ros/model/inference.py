# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
ViVa for one denoising step, with everything precomputed that does not depend on the input.

The results are exact: time is fixed at tau = 1, the noise is fixed, the texts are few. So
modulations, noisy tokens and the keys and values of the text are constants; the last block
computes the target frames alone; latent statistics fold into the last convolution of the encoder;
the value is one dot product. There is no scheduler: z_0 = z_1 - v. Weights of constants are
dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from diffusers.models.transformers.transformer_wan import WanAttention, WanTransformerBlock
from torch import Tensor, nn

from viva_ros.model import latents
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.latents import PROPRIO, SUCCESS, VALUE
from viva_ros.model.viva import FULL_TIME, ViVa, denormalise, normalise

MASKED: Final = -1e4  # added to a logit it leaves no weight; finite in 16 bits too


@dataclass(frozen=True)
class TextKeys:
    """
    The rows of the task texts that attention needs.

    Texts are padded with rows of zeros without a mask, so all padding has the same key and value.
    One padding row with log(count) added to its logit has the weight of all of them.

    :param rows: embedded, (tasks, L, D)
    :param bias: of the logits, (tasks, 1, 1, L); None if all are 0
    """

    rows: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, text: Tensor, embed: Callable[[Tensor], Tensor]) -> 'TextKeys':
        """:param text: from the checkpoint, (tasks, tokens, width)."""
        tokens, lengths = text.shape[1], lengths_of(text)
        longest = max(lengths, default=tokens)
        if longest >= tokens - 1:  # no padding to save
            return cls(embed(text), None)
        bias = torch.full((len(text), 1, 1, longest + 1), MASKED)
        for task, length in enumerate(lengths):
            bias[task, ..., :length] = 0.0
            bias[task, ..., longest] = torch.tensor(float(tokens - length)).log()
        return cls(embed(text[:, : longest + 1]), bias)


def lengths_of(text: Tensor) -> list[int]:
    """Return the rows of each text without its padding; text is (tasks, tokens, width)."""
    used = text.ne(0).any(dim=2)
    return [int(row.nonzero().max()) + 1 if bool(row.any()) else 0 for row in used]


class TextAttention(nn.Module):
    """
    WanAttention to the text, with its normalisation.

    A single row has all the weight for any query: its contribution is a constant of the task.
    """

    def __init__(self, block: WanTransformerBlock, text: TextKeys) -> None:
        super().__init__()
        attention = block.attn2
        self.heads = attention.heads
        key, value = attention.norm_k(attention.to_k(text.rows)), attention.to_v(text.rows)
        self.is_constant = text.rows.shape[1] == 1
        if self.is_constant:
            self.register_buffer('added', attention.to_out[0](value))
            return
        key, value = (x.unflatten(2, (self.heads, -1)).transpose(1, 2) for x in (key, value))
        self.norm, self.query, self.norm_q = block.norm2, attention.to_q, attention.norm_q
        self.out = attention.to_out[0]
        self.register_buffer('key', key.contiguous())  # (tasks, heads, L, D / heads)
        self.register_buffer('value', value.contiguous())
        self.register_buffer('bias', text.bias)

    def forward(self, x: Tensor, task: Tensor) -> Tensor:
        """Return the contribution to the tokens: (B, tokens or 1, D)."""
        if self.is_constant:
            return self.added[task]
        query = self.norm_q(self.query(self.norm(x)))
        query = query.unflatten(2, (self.heads, -1)).transpose(1, 2)
        bias = None
        if self.bias is not None:  # expanded for each query, as exporters may not broadcast
            bias = self.bias[task].expand(-1, -1, x.shape[1], -1)
        mixed = F.scaled_dot_product_attention(query, self.key[task], self.value[task], bias)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Modulation(nn.Module):
    """
    Normalise tokens, then scale and shift them by constants.

    :param shift: (1, D) for all frames, or (F, D) for each frame
    :param scale: minus 1, of the same shape
    """

    def __init__(self, shift: Tensor, scale: Tensor, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer('shift', shift.clone())
        self.register_buffer('scale', 1 + scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return modulated tokens, (B, tokens, D)."""
        if len(self.shift) == 1:
            return F.layer_norm(x, x.shape[-1:], self.scale[0], self.shift[0], self.eps)
        x = F.layer_norm(x, x.shape[-1:], eps=self.eps).unflatten(1, (len(self.shift), -1))
        return (x * self.scale[:, None] + self.shift[:, None]).flatten(1, 2)


class Block(nn.Module):
    """
    One transformer block.

    :param modulation: (1 or F, 6, D), without the table of the block
    :param rotation: cosines and sines, (tokens, head_dim / 2) each
    :param targets: number of last frames and of last tokens to compute; None for all
    """

    def __init__(
        self, block: WanTransformerBlock, modulation: Tensor, text: TextKeys,
        rotation: tuple[Tensor, Tensor], targets: tuple[int, int] | None,
    ) -> None:  # fmt: skip
        super().__init__()
        table = block.scale_shift_table + modulation  # (1 or F, 6, D)
        self.count = targets[1] if targets else None
        self.before = Modulation(table[:, 0], table[:, 1], block.norm1.eps)
        if targets and len(table) > 1:
            table = table[-targets[0] :]
        self.after = Modulation(table[:, 3], table[:, 4], block.norm3.eps)
        self.register_buffer('gate', table[:, 2].clone())
        self.register_buffer('gate_out', table[:, 5].clone())
        self.attention = SelfAttention(block.attn1, rotation, self.count)
        self.text = TextAttention(block, text)
        self.feed_forward = block.ffn

    def forward(self, x: Tensor, task: Tensor) -> Tensor:
        """Return (B, tokens, D), or the last ``count`` of them."""
        attended = self.attention(self.before(x))
        if self.count is not None:
            x = x[:, -self.count :]
        x = x + _gated(attended, self.gate)
        x = x + self.text(x, task)
        return x + _gated(self.feed_forward(self.after(x)), self.gate_out)


class SelfAttention(nn.Module):
    """
    WanAttention over the video, with one matrix for all three projections.

    RoPE rotates pairs of neighbours; here rows are sorted so that it rotates halves.

    :param count: number of last tokens to compute; None for all
    """

    def __init__(
        self, attention: WanAttention, rotation: tuple[Tensor, Tensor], count: int | None
    ) -> None:
        super().__init__()
        self.heads, self.count = attention.heads, count
        self.eps = float(attention.norm_q.eps)
        self.out = attention.to_out[0]
        order = _halves_first(attention)
        layers = (attention.to_q, attention.to_k, attention.to_v)
        rows = (order, order, slice(None))
        buffers = {
            'weight': torch.cat([w.weight[r] for w, r in zip(layers, rows, strict=True)]),
            'bias': torch.cat([w.bias[r] for w, r in zip(layers, rows, strict=True)]),
            'norm_q': attention.norm_q.weight.detach()[order],
            'norm_k': attention.norm_k.weight.detach()[order],
            'cos': rotation[0][:, None].clone(), 'sin': rotation[1][:, None].clone(),
        }  # fmt: skip
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer)

    def forward(self, normal: Tensor) -> Tensor:
        """Return attended tokens: (B, tokens, D) to (B, tokens or count, D)."""
        query, key, value = self._project(normal)
        cos, sin = self.cos, self.sin
        key = self._rotate(F.rms_norm(key, key.shape[-1:], self.norm_k, self.eps), cos, sin)
        if self.count is not None:
            cos, sin = cos[-self.count :], sin[-self.count :]
        query = self._rotate(F.rms_norm(query, query.shape[-1:], self.norm_q, self.eps), cos, sin)
        value = value.unflatten(2, (self.heads, -1)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _project(self, normal: Tensor) -> tuple[Tensor, ...]:
        """Return query, key and value; the query for the last ``count`` tokens alone."""
        if self.count is None:
            return F.linear(normal, self.weight, self.bias).chunk(3, dim=-1)
        width = normal.shape[-1]
        query = F.linear(normal[:, -self.count :], self.weight[:width], self.bias[:width])
        return query, *F.linear(normal, self.weight[width:], self.bias[width:]).chunk(2, dim=-1)

    def _rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Apply RoPE by halves: (B, tokens, D) to (B, heads, tokens, D / heads)."""
        a, b = x.unflatten(2, (self.heads, -1)).chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).transpose(1, 2)


def _gated(x: Tensor, gate: Tensor) -> Tensor:
    """Scale tokens, (B, tokens, D), by (1, D) for all frames or (F, D) for each frame."""
    if len(gate) == 1:
        return x * gate
    return (x.unflatten(1, (len(gate), -1)) * gate[:, None]).flatten(1, 2)


def _halves_first(attention: WanAttention) -> Tensor:
    """Return the order of rows that puts the first of each rotated pair before all second ones."""
    dim = attention.inner_dim // attention.heads
    within = torch.cat([torch.arange(0, dim, 2), torch.arange(1, dim, 2)])
    return (torch.arange(attention.heads)[:, None] * dim + within).flatten()


Reading = tuple[dict[str, Tensor], Tensor | None]


class Denoised(nn.Module):
    """
    One denoising step, z_0 = z_1 - v, and the mean of each frame of one number.

    The mean over the outputs of a linear layer is one dot product with the mean of its rows.

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
        Read the target frames.

        :param x: their tokens, (B, tokens, D)
        :returns: the arguments of ``Targets.to_outputs``
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
        """Return latents of the patches of one frame: (B, tokens, p p C) to (B, C, 1, H, W)."""
        channels, height, width = self.config.latent_shape
        _, p, q = self.config.transformer.patch_size
        x = x.reshape(-1, height // p, width // q, p, q, channels)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(-1, channels, 1, height, width)


class Headed(nn.Module):
    """The head of an early exit; its outputs need no denoising."""

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


Model = ViVa | EarlyExit


class LeanViVa(nn.Module):
    """
    Computes ``ViVa.forward`` with one step, or ``EarlyExit.forward``, with fewer operations.

    :param model: its folded weights are copied, the others shared
    """

    noisy: Tensor

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
            last_only = count, count * viva.config.tokens_per_frame
            self.blocks = nn.ModuleList(
                Block(block, modulation, text, rotation, last_only if i == last else None)
                for i, block in enumerate(transformer.blocks)
            )
            reading = Headed(model) if isinstance(model, EarlyExit) else Denoised(viva, time)
            self.reading = reading
        self.register_buffer('low', viva.low.clone(), persistent=False)
        self.register_buffer('span', viva.span.clone(), persistent=False)

    @property
    def precision(self) -> torch.dtype:
        """Precision of the arithmetic; joints are always scaled in float32."""
        return self.noisy.dtype

    def to_precision(self, precision: torch.dtype) -> 'LeanViVa':
        """Convert weights and constants in place; estimates stay float32."""
        for part in (self.encoder, self.patch, self.blocks, self.reading):
            part.to(precision)
        self.noisy = self.noisy.to(precision)
        return self

    def forward(self, images: Tensor, proprio: Tensor, task: Tensor) -> tuple[Tensor, ...]:
        """
        Return all ``outputs``, as ``ViVa.forward``.

        :param images: (B, V, H, W, 3) uint8
        :param proprio: (B, J), rad or m
        :param task: index, (B,)
        """
        # Exported graphs with uint8 inputs need the conversion first.
        views = self.encode(images.to(self.precision).flatten(0, 1))
        views = views.unflatten(0, (-1, len(self.config.cameras)))
        return self.estimate(views, proprio, task)

    def encode(self, images: Tensor) -> Tensor:
        """
        Encode single views.

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
        Return all ``outputs`` from encoded views.

        :param views: of ``encode``, (B, V, C, H/16, W/16)
        """
        joints = normalise(proprio, self.low, self.span).to(self.precision)
        tokens = self._embed(latents.conditioning(joints, views))
        x = torch.cat([tokens, self.noisy.expand(tokens.shape[0], -1, -1)], dim=1)
        for block in self.blocks:
            x = block(x, task)
        found = self.targets.to_outputs(*self.reading(x))
        if 'forecast' in found:
            found['forecast'] = denormalise(found['forecast'], self.low, self.span)
        return tuple(found[name] for name in self.outputs)

    def _embed(self, video: Tensor) -> Tensor:
        """Return tokens: (B, C, F, H, W) to (B, tokens, D)."""
        return self.patch(video).flatten(2).transpose(1, 2)


def _encoder(viva: ViVa) -> nn.Sequential:
    """Return the encoder on patches, whose last convolution outputs normalised means."""
    encoder, folded = viva.vae.encoder, _fold_encoder_out(viva)
    return nn.Sequential(
        encoder.conv_in, *encoder.down_blocks, encoder.mid_block, encoder.norm_out, nn.SiLU(),
        folded,
    )  # fmt: skip


def _modulations(viva: ViVa) -> tuple[Tensor, Tensor]:
    """Return time embedding, (1 or F, D), and modulations, (1 or F, 6, D), at tau = 1."""
    embedder, config = viva.transformer.condition_embedder, viva.config
    times = torch.full((1,), FULL_TIME)
    if config.per_token_times:
        times = torch.zeros(config.frames)
        times[-viva.targets.count :] = FULL_TIME
    time, modulation, _, _ = embedder(times, viva.text[:1])
    return time, modulation.unflatten(1, (6, -1))


def _rotation(viva: ViVa) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of each token, (tokens, head_dim / 2)."""
    channels, _, height, width = viva.noise.shape
    cos, sin = viva.transformer.rope(torch.zeros(1, channels, viva.config.frames, height, width))
    return cos[0, :, 0, 0::2], sin[0, :, 0, 1::2]


def _fold_encoder_out(viva: ViVa) -> nn.Conv2d:
    """Fold last convolution, posterior mean and channel statistics into one convolution."""
    last, mean = viva.vae.encoder.conv_out, viva.vae.quant_conv
    channels = viva.config.vae.z_dim
    folded = nn.Conv2d(last.in_channels, channels, 3, padding=1)
    scale = 1 / viva.latents_std.double()
    mix = mean.weight[:channels, :, 0, 0].double() * scale[:, None]
    folded.weight.copy_(torch.einsum('oc,cihw->oihw', mix, last.weight.double()))
    offset = (mean.bias[:channels].double() - viva.latents_mean.double()) * scale
    folded.bias.copy_(mix @ last.bias.double() + offset)
    return folded
