# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
ViVa for one denoising step, with all that does not depend on the input computed beforehand.

Exact, not approximate: time is fixed at tau = 1, the noise is fixed, the text is one of a few. So
modulations, noisy tokens and the keys and values of the text are constants; in the last block only
the target frames are followed; latent statistics fold into the encoder's last convolution.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from diffusers.models.transformers.transformer_wan import WanAttention, WanTransformerBlock
from torch import Tensor, nn

from viva_ros.model import latents
from viva_ros.model.viva import FULL_TIME, ViVa, to_pixels


class LeanViVa(nn.Module):
    """
    The same numbers as ``ViVa.forward`` with one step, made for export.

    :param viva: its weights are copied where they are folded, else shared
    """

    def __init__(self, viva: ViVa) -> None:
        super().__init__()
        self.viva, config = viva, viva.config
        transformer = viva.transformer
        self.encoder_out = _fold_encoder_out(viva)
        self.count = viva.targets.count * config.tokens_per_frame
        with torch.no_grad():
            noisy = _embed(viva, viva.noise[None])
            time, modulation = _modulations(viva)
            text = transformer.condition_embedder.text_embedder(viva.text)
            shift, scale = (transformer.scale_shift_table + time[:, None]).unbind(1)
            video = torch.zeros(1, viva.noise.shape[0], config.frames, *viva.noise.shape[2:])
            cos, sin = transformer.rope(video)
        self.register_buffer('noisy', noisy)
        self.register_buffer('shift', shift[-self.count :])
        self.register_buffer('scale', 1 + scale[-self.count :])
        halves = cos[0, :, 0, 0::2], sin[0, :, 0, 1::2]  # (tokens, head_dim / 2)
        last = len(transformer.blocks) - 1
        self.blocks = nn.ModuleList(
            _Block(block, modulation, text, halves, self.count if i == last else None)
            for i, block in enumerate(transformer.blocks)
        )

    def forward(self, images: Tensor, proprio: Tensor, task: Tensor) -> tuple[Tensor, ...]:
        """
        Estimate all outputs; as ``ViVa.forward``.

        :param images: (B, V, H, W, 3) uint8
        :param proprio: (B, J), rad or m
        :param task: index, (B,)
        """
        views = self._encode(images)
        clean = latents.conditioning(self.viva.normalise_joints(proprio), views)
        tokens = _embed(self.viva, clean)
        x = torch.cat([tokens, self.noisy.expand(len(tokens), -1, -1)], dim=1)
        for block in self.blocks:
            x = block(x, task)
        transformer = self.viva.transformer
        x = F.layer_norm(x, x.shape[-1:], eps=transformer.norm_out.eps) * self.scale + self.shift
        return self.viva.read(self.viva.noise - self._unpatchify(transformer.proj_out(x)))

    def _encode(self, images: Tensor) -> Tensor:
        vae = self.viva.vae
        x = vae.encoder.features(vae.patchify(to_pixels(images.flatten(0, 1))))
        return self.encoder_out(x).unflatten(0, images.shape[:2])

    def _unpatchify(self, x: Tensor) -> Tensor:
        """Patches of the target frames to latents: (B, tokens, p p C) to (B, C, N, H, W)."""
        count = self.viva.targets.count
        channels, height, width = self.viva.config.latent_shape
        _, p, q = self.viva.config.transformer.patch_size
        x = x.reshape(-1, count, height // p, width // q, p, q, channels)
        return x.permute(0, 6, 1, 2, 4, 3, 5).reshape(-1, channels, count, height, width)


class _Block(nn.Module):
    """
    WanTransformerBlock with constants in place of time and text.

    :param modulation: (1 or tokens, 6, D), without the block's own table
    :param text: embedded, (tasks, L, D)
    :param rotation: cosines and sines, (tokens, head_dim / 2) each
    :param count: follow only so many last tokens; None for all
    """

    def __init__(
        self, block: WanTransformerBlock, modulation: Tensor, text: Tensor,
        rotation: tuple[Tensor, Tensor], count: int | None,
    ) -> None:  # fmt: skip
        super().__init__()
        attention = block.attn1
        self.block, self.heads, self.count = block, attention.heads, count
        with torch.no_grad():
            table = (block.scale_shift_table + modulation).clone()
            table[:, [1, 4]] += 1  # scales
            order = _halves_first(attention)
            layers = (attention.to_q, attention.to_k, attention.to_v)
            weights = [layer.weight.clone() for layer in layers]
            biases = [layer.bias.clone() for layer in layers]
            for index in (0, 1):
                weights[index], biases[index] = weights[index][order], biases[index][order]
            key, value = self._text_keys(block.attn2, text)
        buffers = {
            'table': table, 'weight': torch.cat(weights), 'bias': torch.cat(biases),
            'norm_q': attention.norm_q.weight.detach()[order],
            'norm_k': attention.norm_k.weight.detach()[order],
            'cos': rotation[0][:, None], 'sin': rotation[1][:, None],
            'text_key': key, 'text_value': value,
        }  # fmt: skip
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer)

    def forward(self, x: Tensor, task: Tensor) -> Tensor:
        """Give (B, tokens, D), or the last ``count`` of them."""
        block = self.block
        table = self.table
        attended = self._attend(F.layer_norm(x, x.shape[-1:], eps=block.norm1.eps), table)
        if self.count is not None:
            x = x[:, -self.count :]
            table = table[-self.count :]
        shift, scale, gate = table[:, 3], table[:, 4], table[:, 5]
        x = x + attended * table[:, 2]
        x = x + self._attend_text(x, task)
        h = F.layer_norm(x, x.shape[-1:], eps=block.norm3.eps) * scale + shift
        return x + block.ffn(h) * gate

    def _attend(self, normal: Tensor, table: Tensor) -> Tensor:
        attention = self.block.attn1
        normal = normal * table[:, 1] + table[:, 0]
        query, key, value = F.linear(normal, self.weight, self.bias).chunk(3, dim=-1)
        cos, sin = self.cos, self.sin
        key = self._rotate(F.rms_norm(key, key.shape[-1:], self.norm_k, _eps(attention)), cos, sin)
        if self.count is not None:
            query, cos, sin = query[:, -self.count :], cos[-self.count :], sin[-self.count :]
        query = F.rms_norm(query, query.shape[-1:], self.norm_q, _eps(attention))
        query = self._rotate(query, cos, sin)
        value = value.unflatten(2, (self.heads, -1)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return attention.to_out[0](mixed.transpose(1, 2).flatten(2))

    def _rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Rotate by halves: (B, tokens, D) to (B, heads, tokens, D / heads)."""
        a, b = x.unflatten(2, (self.heads, -1)).chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).transpose(1, 2)

    def _attend_text(self, x: Tensor, task: Tensor) -> Tensor:
        attention = self.block.attn2
        key, value = self.text_key[task], self.text_value[task]  # (B, heads, L, D / heads)
        if key.shape[2] == 1:  # one key has all the weight, whatever is asked
            return attention.to_out[0](value.transpose(1, 2).flatten(2))
        query = attention.norm_q(attention.to_q(self.block.norm2(x)))
        query = query.unflatten(2, (self.heads, -1)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return attention.to_out[0](mixed.transpose(1, 2).flatten(2))

    @staticmethod
    def _text_keys(attention: WanAttention, text: Tensor) -> tuple[Tensor, Tensor]:
        key, value = attention.norm_k(attention.to_k(text)), attention.to_v(text)
        key, value = (x.unflatten(2, (attention.heads, -1)).transpose(1, 2) for x in (key, value))
        return key.contiguous(), value.contiguous()


def _eps(attention: WanAttention) -> float:
    return float(attention.norm_q.eps)


def _halves_first(attention: WanAttention) -> Tensor:
    """Give the order of rows that puts the first of each rotated pair before all second ones."""
    dim = attention.inner_dim // attention.heads
    within = torch.cat([torch.arange(0, dim, 2), torch.arange(1, dim, 2)])
    return (torch.arange(attention.heads)[:, None] * dim + within).flatten()


def _embed(viva: ViVa, video: Tensor) -> Tensor:
    """Give tokens: (B, C, F, H, W) to (B, tokens, D)."""
    return viva.transformer.patch_embedding(video).flatten(2).transpose(1, 2)


def _modulations(viva: ViVa) -> tuple[Tensor, Tensor]:
    """Give time embedding, (1 or tokens, D), and modulations, (1 or tokens, 6, D), at tau = 1."""
    embedder, config = viva.transformer.condition_embedder, viva.config
    times = torch.full((1,), FULL_TIME)
    if config.per_token_times:
        times = torch.zeros(config.frames * config.tokens_per_frame)
        times[-viva.targets.count * config.tokens_per_frame :] = FULL_TIME
    time, modulation, _, _ = embedder(times, viva.text[:1])
    return time, modulation.unflatten(1, (6, -1))


def _fold_encoder_out(viva: ViVa) -> nn.Conv2d:
    """Put last convolution, posterior mean and channel statistics into one convolution."""
    last, mean = viva.vae.encoder.conv_out, viva.vae.quant_conv
    channels = viva.config.vae.z_dim
    folded = nn.Conv2d(last.in_channels, channels, 3, padding=1)
    with torch.no_grad():
        scale = 1 / viva.latents_std.double()
        mix = mean.weight[:channels, :, 0, 0].double() * scale[:, None]
        folded.weight.copy_(torch.einsum('oc,cihw->oihw', mix, last.weight.double()))
        offset = (mean.bias[:channels].double() - viva.latents_mean.double()) * scale
        folded.bias.copy_(mix @ last.bias.double() + offset)
    return folded
