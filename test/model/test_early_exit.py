# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from viva_ros.core.observation import Observation
from viva_ros.engine.factory import load
from viva_ros.model import checkpoint, latents
from viva_ros.model.early_exit import BinnedReadOut, EarlyExit
from viva_ros.model.latents import Goals
from viva_ros.model.viva import ViVa

TASK = torch.tensor([0, 1])


def inputs(viva: ViVa) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    views = len(viva.config.cameras)
    images = torch.randint(0, 256, (2, views, 32, 32, 3), generator=generator).byte()
    return images, torch.rand((2, 3), generator=generator), TASK


@pytest.mark.parametrize('per_token_times', [False, True])
def test_features_equal_block_output_of_whole_model(
    make_viva: Callable[..., ViVa], per_token_times: bool
) -> None:
    viva = make_viva(per_token_times=per_token_times)
    images, joints, task = inputs(viva)
    outputs: list[Tensor] = []
    viva.transformer.blocks[0].register_forward_hook(
        lambda *arguments: outputs.append(arguments[2])
    )
    with torch.no_grad():
        encoded, normal = viva.encode(images), viva.normalise_joints(joints)
        viva.denoise(encoded, normal, task)
        features = EarlyExit.of(viva, 1).features(encoded, normal, task)
    tokens = viva.config.tokens_per_frame
    assert features.shape == (2, 2, tokens, 24)
    torch.testing.assert_close(features.flatten(1, 2), outputs[0][:, -2 * tokens :])


def test_early_exit_shares_and_freezes_first_blocks(viva: ViVa) -> None:
    head = EarlyExit.of(viva, 1)
    assert len(head.viva.transformer.blocks) == 1
    assert head.config.transformer.num_layers == 1
    assert head.viva.vae.quant_conv.weight.data_ptr() == viva.vae.quant_conv.weight.data_ptr()
    learning = {name for name, p in head.named_parameters() if p.requires_grad}
    assert learning
    assert all(name.startswith('head.') for name in learning)


def test_binned_value_is_the_mean_of_its_bins() -> None:
    head = BinnedReadOut(8, 5)  # centres -1, -.5, 0, .5, 1
    with torch.no_grad():
        head.layers[2].weight.zero_()
        head.layers[2].bias.copy_(torch.tensor([-1e9, 0.0, -1e9, -1e9, 0.0]))
        features = torch.randn(3, 4, 8)
        torch.testing.assert_close(head(features), torch.full((3, 1), 0.25))
        # Nearest bins of -.6, .9 and 1.4: -.5 and twice 1, each with probability 1/2.
        error = head.error(features, torch.tensor([-0.6, 0.9, 1.4]))
        torch.testing.assert_close(error, torch.full((3,), math.log(2.0)))


def test_binned_head_learns_by_cross_entropy_and_is_read_again(viva: ViVa, tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = EarlyExit.of(viva, 2, value_bins=201)
    images, joints, task = inputs(viva)
    goals = Goals(torch.tensor([-0.5, 0.25]), torch.zeros(2, 3))
    with torch.no_grad():
        encoded, normal = viva.encode(images), viva.normalise_joints(joints)
        features = head.features(encoded, normal, task)
        found = head.loss(encoded, normal, goals, task)
        place = head.targets.places['value']
        wanted = head.head['value'].error(features[:, place].flatten(1, 2), goals.latent)
        torch.testing.assert_close(found['value'], wanted.mean())
        checkpoint.write(tmp_path, head, {})
        read = checkpoint.read(tmp_path).model
        torch.testing.assert_close(read(images, joints, task), head.eval()(images, joints, task))


def test_head_output_is_value_and_forecast(viva: ViVa) -> None:
    head = EarlyExit.of(viva, 2).eval()
    with torch.no_grad():
        for parameter in head.head.parameters():
            parameter.zero_()
        head.head['value'].layers[2].bias.fill_(0.25)  # v, so V = -0.25
        head.head['proprio'].layers[2].bias.copy_(torch.tensor([0.0, 1.0, 0.3]))
        value, forecast = head(*inputs(viva))
    torch.testing.assert_close(value, torch.tensor([-0.25, -0.25]))
    # Ranges -1 .. 1, 0 .. 0.5, and 2 without a span.
    torch.testing.assert_close(forecast[0], torch.tensor([0.0, 0.5, 2.0]))


def test_head_loss_is_weighted_like_viva(viva: ViVa) -> None:
    head = EarlyExit.of(viva, 1)
    with torch.no_grad():
        for parameter in head.head.parameters():
            parameter.zero_()
    goals = Goals(torch.tensor([0.5, -1.0]), torch.full((2, 3), 0.2))
    images, joints, task = inputs(viva)
    losses = head.loss(head.viva.encode(images), joints, goals, task)
    value, forecast = (0.25 + 1.0) / 2, 0.04
    assert float(losses['value'].detach()) == pytest.approx(value)
    assert float(losses['proprio'].detach()) == pytest.approx(forecast)
    assert float(losses['total'].detach()) == pytest.approx(value + 0.5 * forecast)


def test_head_outputs_progress_and_success(make_viva: Callable[..., ViVa]) -> None:
    head = EarlyExit.of(make_viva(targets=('value', 'success')), 1).eval()
    assert head.outputs == ('value', 'progress', 'success')
    with torch.no_grad():
        for name, bias in (('value', -0.6), ('success', -0.8)):  # 2 remaining - 1, 2 failed - 1
            for parameter in head.head[name].parameters():
                parameter.zero_()
            head.head[name].layers[2].bias.fill_(bias)
        value, progress, success = head(*inputs(head.viva))
    assert progress.tolist() == pytest.approx([0.8, 0.8])
    assert success.tolist() == pytest.approx([0.9, 0.9])
    assert value.tolist() == pytest.approx([0.7, 0.7])


def test_early_exit_checkpoint_runs_as_engine(tmp_path: Path, viva: ViVa) -> None:
    head = EarlyExit.of(viva, 1).eval()
    mark = checkpoint.write(tmp_path, head, {'seed': 3})
    read = checkpoint.read(tmp_path)
    assert isinstance(read.model, EarlyExit)
    assert read.fingerprint == mark
    engine = load(tmp_path, 'lift', 'pytorch')
    images, joints, _ = inputs(viva)
    names = viva.config.joint_names
    observation = Observation(
        {name: images[0, k].numpy() for k, name in enumerate(viva.config.cameras)},
        {name: float(joints[0, k]) for k, name in enumerate(names)}, {'head': 0},
    )  # fmt: skip
    with torch.inference_mode():
        value, forecast = head(images[:1], joints[:1], TASK[:1])
    given = engine.estimate(observation)
    assert given.value == pytest.approx(float(value[0]), abs=1e-6)
    assert list(given.forecast.values()) == pytest.approx(forecast[0].tolist(), abs=1e-6)


def test_invalid_head_is_refused(viva: ViVa) -> None:
    with pytest.raises(ValueError, match='blocks is 3, must be 1 to 2'):
        EarlyExit.of(viva, 3)
    config = replace(viva.config, targets=('images', 'value'))
    with pytest.raises(ValueError, match='cannot have images'):
        EarlyExit(config, viva.ranges)


def test_head_frames_are_in_target_order(viva: ViVa) -> None:
    head = EarlyExit.of(viva, 1).eval()
    images, joints, task = inputs(viva)
    with torch.no_grad():
        frames = head.denoise(head.viva.encode(images), joints, task)
    assert frames.shape == (2, 4, 2, 2, 2)
    flat = latents.read_value(frames[:, :, 1])
    torch.testing.assert_close(frames[:, :, 1], flat[:, None, None, None].expand(2, 4, 2, 2))
