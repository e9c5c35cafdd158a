# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Part 2: one estimate of Wan2.2-TI2V-5B in bfloat16, three views, batch 1.

Released recipe, lean form, CUDA graph and regional compilation, each with its share of the limit
set by the arithmetic and the memory bandwidth of the device.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from viva_ros.model.cuda_graph import GraphedModel
from viva_ros.model.inference import LeanViVa
from viva_ros.model.viva import ViVa, to_pixels

from . import networks
from .correctness import set_tf32
from .part import Part, free, run
from .timing import (
    Ceilings,
    Replay,
    ceilings,
    compile_blocks,
    difference,
    unique_graphs,
)
from .timing import measure as timed

AIMS: Final = {'384x320': 17.0, '256x256': 9.0}  # ms, on an H100 or H200
BACKENDS: Final = {
    'cuDNN': SDPBackend.CUDNN_ATTENTION, 'flash': SDPBackend.FLASH_ATTENTION,
    'memory-efficient': SDPBackend.EFFICIENT_ATTENTION,
}  # fmt: skip
CAMERA: Final = (480, 640)


def measure(part: Part) -> None:
    """Measure all rows, the most valuable first."""
    with torch.no_grad():
        peaks = ceilings(part)
        part.row('lean against stock, float32', lambda: check(part))
        free(part.device)
        made = _make(part)
        if made is None:
            return
        sizes = networks.sizes(part.tiny)
        for name, image_size in sizes.items():
            Size(part, name, networks.resized(made, image_size), peaks).plain()
            free(part.device)
        for name, image_size in sizes.items():
            Size(part, name, networks.resized(made, image_size), peaks).compiled()
            free(part.device)
        first = next(iter(sizes))
        Size(part, first, networks.resized(made, sizes[first]), peaks).details()


def _make(part: Part) -> ViVa | None:
    held: list[ViVa] = []

    def make() -> dict[str, Any]:
        config = networks.make_config(part.tiny, next(iter(networks.sizes(part.tiny).values())))
        held.append(networks.make_viva(config, part.device, torch.bfloat16))
        return {'parameters': sum(p.numel() for p in held[0].transformer.parameters())}

    part.row('weights made on the device', make)
    return held[0] if held else None


def check(part: Part) -> dict[str, Any]:
    """Compare lean and stock at full width and two layers, TF32 off."""
    set_tf32(False, False)
    config = networks.make_config(part.tiny, list(networks.sizes(part.tiny).values())[-1], 2)
    viva = networks.make_viva(config, part.device, torch.float32)
    given = networks.inputs(config, part.device, 2)
    wanted = networks.make_stock(viva)(*given)
    found = networks.make_lean(viva)(*given)
    set_tf32(False, True)  # torch's defaults
    names = viva.outputs
    return {
        f'{name}_relative': difference(a, b)
        for name, a, b in zip(names, found, wanted, strict=True)
    } | {'value_max': float((found[0] - wanted[0]).abs().max())}  # fmt: skip


class Size:
    """Rows of one image size."""

    def __init__(self, part: Part, name: str, viva: ViVa, peaks: Ceilings) -> None:
        self._part, self._name, self._viva, self._peaks = part, name, viva, peaks
        self._given = networks.inputs(viva.config, part.device)

    def plain(self) -> None:
        """Measure the lean form, then the released recipe, without a compiler."""
        lean = self._lean()
        if lean is None:
            return
        self._row('lean + CUDA graph', lean, self._replayed(lambda: lean(*self._given)))
        self._row('lean eager', lean, lambda: timed(self._part, lambda: lean(*self._given)))
        self._vae(lean)
        self._part.row(f'{self._name}: stock eager', self._stock, needs=8.0)

    def compiled(self) -> None:
        """Measure the lean form with one compiled block for all."""
        lean = self._lean()
        if lean is None:
            return

        def work() -> dict[str, Any]:
            compile_blocks(self._part, lean.blocks)
            lean(*self._given)
            found = {'unique_graphs': unique_graphs()}
            if self._part.device.type == 'cuda':
                return self._replayed(lambda: lean(*self._given))() | found
            return timed(self._part, lambda: lean(*self._given)) | found

        self._row('lean + compiled block + CUDA graph', lean, work, needs=30.0)

        def with_encoder() -> dict[str, Any]:
            self._part.need_cuda('the compiled encoder')
            lean.encoder.to(memory_format=torch.channels_last)
            lean.encoder.compile(dynamic=False)
            return self._replayed(lambda: lean(*self._given))()

        self._row('lean + compiled block and encoder + CUDA graph', lean, with_encoder, 40.0)

    def details(self) -> None:
        """Measure attention back ends, and the path from images to results in host memory."""
        lean = self._lean()
        if lean is None:
            return
        self._attention()
        for label, backend in BACKENDS.items():
            order = [backend, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]

            def work(order: list[SDPBackend] = order) -> dict[str, Any]:
                self._part.need_cuda('choosing the back end of attention')
                with sdpa_kernel(list(dict.fromkeys(order)), set_priority=True):
                    return self._replayed(lambda: lean(*self._given))()

            self._row(f'lean + CUDA graph, attention by {label}', lean, work)
        self._part.row(f'{self._name}: pictures in, numbers out', lambda: self._whole(lean))

    def _lean(self) -> LeanViVa | None:
        held: list[LeanViVa] = []

        def make() -> dict[str, Any]:
            held.append(networks.make_lean(self._viva))
            return {'weights_gb': networks.weight_bytes(held) / 1e9}

        self._part.row(f'{self._name}: lean form made', make)
        return held[0] if held else None

    def _replayed(self, work: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
        return lambda: timed(self._part, Replay(self._part, work))

    def _row(
        self, name: str, lean: LeanViVa, work: Callable[[], dict[str, Any]], needs: float = 3.0
    ) -> None:
        """Measure a form of the lean model, with its share of the limit."""
        operations = networks.lean_operations(self._viva.config)
        limit = self._peaks.limit(operations, networks.weight_bytes([lean]))

        def complete() -> dict[str, Any]:
            found = work()
            found |= {'limit_ms': limit, 'share_of_limit': limit / found['p50_ms']}
            if self._name in AIMS:
                found['meets_aim'] = found['p50_ms'] <= AIMS[self._name]
            return found | {'tflop': operations / 1e12}

        self._part.row(f'{self._name}: {name}', complete, needs)

    def _stock(self) -> dict[str, Any]:
        """Time the released recipe and its encoder."""
        stock = networks.make_stock(self._viva)
        operations = networks.stock_operations(self._viva.config)
        limit = self._peaks.limit(operations, networks.weight_bytes([stock.viva.transformer]))
        found = timed(self._part, lambda: stock(*self._given))
        found |= {
            'limit_ms': limit, 'share_of_limit': limit / found['p50_ms'],
            'tflop': operations / 1e12,
        }  # fmt: skip
        for name, kind in (('float32', torch.float32), ('bfloat16', torch.bfloat16)):
            vae, pixels = stock.vae.to(kind), to_pixels(self._given[0][0])[:, :, None].to(kind)
            self._part.row(
                f'{self._name}: stock VAE, {len(pixels)} views, {name}, eager',
                lambda vae=vae, pixels=pixels: timed(self._part, lambda: vae.encode(pixels)),
            )
            self._part.row(
                f'{self._name}: stock VAE, {len(pixels)} views, {name}, CUDA graph',
                self._replayed(lambda vae=vae, pixels=pixels: vae.encode(pixels).latent_dist.mean),
            )
        return found

    def _vae(self, lean: LeanViVa) -> None:
        """Time the folded encoder and the transformer separately."""
        images, joints, task = self._given
        views = images[0].to(lean.precision)
        part, graph = self._part, self._part.device.type == 'cuda'
        latents = lean.encode(views)[None]
        cases: dict[str, Callable[[], Any]] = {
            f'lean VAE, {len(views)} views': lambda: lean.encode(views),
            'lean VAE, 1 view': lambda: lean.encode(views[:1]),
            'lean transformer alone': lambda: lean.estimate(latents, joints, task),
            'last view and transformer': lambda: (
                lean.encode(views[:1]), lean.estimate(latents, joints, task)
            ),
        }  # fmt: skip
        for name, work in cases.items():
            timing = self._replayed(work) if graph else (lambda work=work: timed(part, work))
            part.row(f'{self._name}: {name}' + ', CUDA graph' * graph, timing)
        part.row(f'{self._name}: lean VAE, channels last', lambda: self._channels_last(lean))

    def _channels_last(self, lean: LeanViVa) -> dict[str, Any]:
        """Time the encoder in the channels-last layout, for tensor cores."""
        views = self._given[0][0].to(lean.precision)
        before = lean.encode(views)
        lean.encoder.to(memory_format=torch.channels_last)
        far = difference(lean.encode(views), before)
        try:
            found = self._replayed(lambda: lean.encode(views))()
        finally:
            lean.encoder.to(memory_format=torch.contiguous_format)
        return found | {'relative_difference': far}

    def _attention(self) -> None:
        """Time attention alone, for each back end."""
        config = self._viva.config
        heads, width = config.transformer.num_attention_heads, 0
        width = config.transformer.attention_head_dim
        shape = (3, 1, heads, config.frames * config.tokens_per_frame, width)
        query, key, value = torch.randn(shape, device=self._part.device).bfloat16().unbind(0)
        attend = torch.nn.functional.scaled_dot_product_attention
        for label, backend in BACKENDS.items():

            def work(backend: SDPBackend = backend) -> dict[str, Any]:
                self._part.need_cuda('choosing the back end of attention')
                with sdpa_kernel(backend):
                    return self._replayed(lambda: attend(query, key, value))()

            self._part.row(f'{self._name}: attention alone, {label}', work)

    def _whole(self, lean: LeanViVa) -> dict[str, Any]:
        """Time the shipped path, from three camera images to results in host memory."""
        self._part.need_cuda('the shipped path')
        random, config = np.random.default_rng(0), self._viva.config
        pictures = [[random.integers(0, 256, (*CAMERA, 3), dtype=np.uint8)
                     for _ in config.cameras]]  # fmt: skip
        graphed = GraphedModel(lean, torch.bfloat16)
        feeds = {
            'proprio': np.zeros((1, len(config.joint_names)), np.float32),
            'task': np.zeros(1, np.int64),
        }
        found = timed(self._part, lambda: graphed.run(pictures, feeds))
        graphed.free()
        return found


if __name__ == '__main__':
    raise SystemExit(run(__doc__, measure))
