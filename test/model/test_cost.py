# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The formulas against the counters of torch."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from viva_ros.model import cost
from viva_ros.model.config import PRESETS, WAN_5B, ViVaConfig
from viva_ros.model.inference import LeanViVa
from viva_ros.model.viva import ViVa

#: Small models with other numbers of blocks, heads, words and times of tokens.
REDUCED = [
    replace(PRESETS['tiny'], text_tokens=5),
    replace(PRESETS['tiny'], per_token_times=True, targets=('value',)),
    replace(PRESETS['small'], text_tokens=3, image_size=(64, 96)),
]


def transformer(config: ViVaConfig) -> WanTransformer3DModel:
    return WanTransformer3DModel(**config.transformer.arguments(config.vae.z_dim))


def pass_through(model: WanTransformer3DModel, config: ViVaConfig, batch: int = 1) -> Tensor:
    channels, height, width = config.latent_shape
    video = torch.randn(batch, channels, config.frames, height, width)
    text = torch.randn(batch, config.text_tokens, config.transformer.text_dim)
    tokens = config.frames * config.tokens_per_frame
    times = torch.full((batch, tokens) if config.per_token_times else (batch,), 500.0)
    return model(video.to(model.device), times.to(model.device), text.to(model.device)).sample


def counted(run: Callable[[], Any]) -> int:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return int(counter.get_total_flops())


@pytest.mark.parametrize('config', [*REDUCED, WAN_5B])
def test_parameter_formula_equals_model(config: ViVaConfig) -> None:
    with torch.device('meta'):
        model = transformer(config)
    assert sum(cost.parameters(config).values()) == sum(p.numel() for p in model.parameters())


def test_5b_parameter_count_equals_published() -> None:
    assert sum(cost.parameters(WAN_5B).values()) == 4_999_787_712


@pytest.mark.parametrize('config', REDUCED)
def test_operation_formula_equals_flop_counter(config: ViVaConfig) -> None:
    model = transformer(config)
    given = sum(cost.forward_operations(config).values())
    assert given == counted(lambda: pass_through(model, config))


def test_operations_of_5b_equal_flop_counter_on_meta() -> None:
    one = replace(WAN_5B, transformer=replace(WAN_5B.transformer, num_layers=1))
    two = replace(WAN_5B, transformer=replace(WAN_5B.transformer, num_layers=2))
    whole = []
    for config in (one, two):
        with torch.device('meta'):
            model = transformer(config)
            whole.append(counted(lambda m=model, c=config: pass_through(m, c)))
        assert whole[-1] == sum(cost.forward_operations(config).values())
    total = sum(cost.forward_operations(WAN_5B).values())
    assert total == whole[0] + 29 * (whole[1] - whole[0])
    assert total == pytest.approx(8.32e12, rel=1e-3)


@pytest.mark.parametrize(('words', 'changes'), [
    (1, {}), (5, {}), (5, {'per_token_times': True}), (5, {'targets': ('value', 'success')}),
])  # fmt: skip
def test_operations_of_lean_model_equal_flop_counter(
    make_viva: Callable[..., ViVa], words: int, changes: dict[str, Any]
) -> None:
    model = LeanViVa(make_viva(text_tokens=words, **changes)).eval()
    images = torch.zeros(1, 3, 32, 32, 3, dtype=torch.uint8)
    inputs = images, torch.zeros(1, 3), torch.zeros(1, dtype=torch.long)
    encoding = counted(lambda: model.encode(images[0]))
    given = sum(cost.lean_operations(model.config).values())
    assert given == counted(lambda: model(*inputs)) - encoding


def kept(config: ViVaConfig, batch: int, context: AbstractContextManager[None]) -> int:
    """Return the bytes saved for the backward pass, without weights."""
    model = transformer(config).train()
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    saved: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), context:
        pass_through(model, config, batch)
    return sum(t.untyped_storage().nbytes() for at, t in saved.items() if at not in weights)


@pytest.mark.parametrize('bfloat16', [False, True])
@pytest.mark.parametrize('config', [REDUCED[0], REDUCED[2]])
def test_saved_bytes_formula_equals_autograd(config: ViVaConfig, bfloat16: bool) -> None:
    layers, batch = config.transformer.num_layers, 2
    deeper = replace(config, transformer=replace(config.transformer, num_layers=layers + 1))

    def context() -> AbstractContextManager[None]:
        return torch.autocast('cpu', torch.bfloat16) if bfloat16 else nullcontext()

    more = kept(deeper, batch, context()) - kept(config, batch, context())
    by_hand = batch * cost.kept_by_block(config, cost.KEPT if bfloat16 else cost.KEPT_FP32)
    width, inner = cost.Sizes.of(config).width, config.transformer.ffn_dim
    copies = 2 * (8 * width**2 + 2 * width * inner) if bfloat16 else 0  # weights in bfloat16
    assert more == by_hand + copies
