# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LeanViVa equals ViVa, with fewer operations and weights."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from viva_ros.core.normalize import JointRanges
from viva_ros.engine.resources import engine_folder
from viva_ros.model import checkpoint, cost
from viva_ros.model.config import WAN_5B
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.inference import LeanViVa, TextKeys
from viva_ros.model.pretrained import make_video_vae
from viva_ros.model.viva import ViVa

TASK = torch.tensor([0, 1])


def inputs(viva: ViVa) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    shape = (2, len(viva.config.cameras), *viva.config.image_size, 3)
    images = torch.randint(0, 256, shape, generator=generator).byte()
    joints = torch.rand((2, len(viva.config.joint_names)), generator=generator) * 3 - 1.5
    return images, joints, TASK


def numbers(module: nn.Module) -> int:
    kept = {t.data_ptr(): t.numel() for t in (*module.parameters(), *module.buffers())}
    return sum(kept.values())


@pytest.mark.parametrize('changes', [
    {}, {'per_token_times': True}, {'text_tokens': 3}, {'targets': ('value',)},
    {'targets': ('proprio', 'value', 'success'), 'per_token_times': True},
    {'targets': ('proprio', 'value', 'success'), 'objective': 'regression'},
    {'targets': ('proprio', 'images', 'value'), 'text_tokens': 2},
    {'cameras': ('head',), 'image_size': (64, 32)},
])  # fmt: skip
@pytest.mark.parametrize('blocks', [None, 1])
def test_lean_model_equals_model(
    make_viva: Callable[..., ViVa], changes: dict[str, Any], blocks: int | None
) -> None:
    if blocks and 'images' in changes.get('targets', ()):
        pytest.skip('a head cannot have images')
    viva = make_viva(**changes)
    model: ViVa | EarlyExit = viva
    if blocks:
        model = EarlyExit.of(viva, blocks).eval()
    with torch.inference_mode():
        expected, given = model(*inputs(viva)), LeanViVa(model)(*inputs(viva))
    assert len(given) == len(model.outputs) == len(expected)
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    assert expected[0][0] != expected[0][1]


@torch.inference_mode()
def test_lean_model_equals_shipped_checkpoint() -> None:
    viva = checkpoint.read(engine_folder('', 'tray_lift')).model
    for one, other in zip(LeanViVa(viva)(*inputs(viva)), viva(*inputs(viva)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_text_padding_is_one_row_of_equal_weight(
    make_viva: Callable[..., ViVa],
) -> None:
    viva = make_viva(text_tokens=12)
    viva.text[0, 3:] = 0
    viva.text[1, 5:] = 0
    with torch.inference_mode():
        lean = LeanViVa(viva)
        expected, given = viva(*inputs(viva)), lean(*inputs(viva))
    assert lean.blocks[0].text.key.shape[2] == 6  # five words and the padding
    torch.testing.assert_close(given[0], expected[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(given[1], expected[1], atol=1e-5, rtol=0)


def test_padding_weight_is_its_row_count() -> None:
    text = torch.zeros(2, 8, 3)
    text[0, :4] = 1
    text[1, :1] = 1
    keys = TextKeys.of(text, lambda rows: rows)
    assert keys.rows.shape == (2, 5, 3)
    assert keys.bias is not None
    weights = keys.bias.exp().flatten(1).tolist()
    assert weights == [[1, 1, 1, 1, pytest.approx(4)], [1, 0, 0, 0, pytest.approx(7)]]


def test_text_without_padding_has_no_bias() -> None:
    keys = TextKeys.of(torch.ones(2, 4, 3), lambda rows: rows)
    assert keys.rows.shape == (2, 4, 3)
    assert keys.bias is None


def test_views_encoded_separately_give_same_estimate(viva: ViVa) -> None:
    images, joints, task = inputs(viva)
    with torch.inference_mode():
        lean = LeanViVa(viva)
        views = torch.stack([lean.encode(images[:, view]) for view in range(3)], dim=1)
        torch.testing.assert_close(lean.estimate(views, joints, task), lean(images, joints, task))


def test_bfloat16_estimate_is_near_and_float32(viva: ViVa) -> None:
    with torch.inference_mode():
        expected = viva(*inputs(viva))
        given = LeanViVa(viva).to_precision(torch.bfloat16)(*inputs(viva))
    assert given[0].dtype == given[1].dtype == torch.float32
    torch.testing.assert_close(given[0], expected[0], atol=0.05, rtol=0)


def of_5b(blocks: int, **changes: Any) -> ViVa:
    """Return a 5B model with some of its blocks, on the meta device."""
    config = replace(
        WAN_5B, joint_names=('a', 'b'), tasks=('lift',),
        transformer=replace(WAN_5B.transformer, num_layers=blocks), **changes,
    )  # fmt: skip
    ranges = JointRanges(('a', 'b'), (0.0, 0.0), (1.0, 1.0))
    with torch.device('meta'):
        return ViVa(config, ranges, torch.zeros(1, 512, 4096))


def counted(run: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return int(counter.get_total_flops())


def test_single_frame_encoder_of_5b_costs_a_third() -> None:
    """2.8 times fewer operations, 54 instead of 150 million weights."""
    viva = of_5b(1)
    with torch.device('meta'):
        video = make_video_vae(viva.config.vae)
        frame = torch.zeros(1, 3, 1, 384, 320)
    stock = counted(lambda: video.encode(frame))
    lean = counted(lambda: viva.vae.encode(frame[:, :, 0]))
    assert stock / lean == pytest.approx(2.81, abs=0.01)
    weights = [sum(p.numel() for p in part.parameters())
               for part in (video.encoder, video.quant_conv, viva.vae.encoder)]  # fmt: skip
    assert weights[0] + weights[1] == pytest.approx(149.6e6, rel=1e-3)
    assert weights[2] == pytest.approx(54e6, rel=0.02)


def test_lean_5b_saves_precomputed_operations() -> None:
    """At 384x320 and with a text of a few words: 10.1 to 8.0 TFLOP, encoders included."""
    viva = of_5b(1)
    stock = sum(cost.forward_operations(WAN_5B).values())
    lean = sum(cost.lean_operations(WAN_5B, words=17).values())
    with torch.device('meta'):
        views = torch.zeros(3, 3, 384, 320)
        video = make_video_vae(viva.config.vae)
    lean += counted(lambda: viva.vae.encode(views))
    stock += counted(lambda: video.encode(views[:, :, None]))
    assert stock == pytest.approx(10.1e12, rel=0.01)
    assert lean == pytest.approx(8.0e12, rel=0.02)


def test_lean_model_drops_weights_of_constants(make_viva: Callable[..., ViVa]) -> None:
    viva = make_viva(text_tokens=1)
    lean, transformer = numbers(LeanViVa(viva)), viva.transformer
    width = 24  # cross-attention of one word, in each of two blocks
    gone = 2 * 4 * width * width + numbers(transformer.condition_embedder)
    assert lean < numbers(transformer) + numbers(viva.vae.encoder) - gone + 2000  # constants
