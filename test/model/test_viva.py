# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from viva_ros.core.normalize import JointRanges
from viva_ros.core.returns import latent_from_value, returns, value_from_return
from viva_ros.model import latents
from viva_ros.model.latents import Goals
from viva_ros.model.viva import ViVa

IMAGES = torch.zeros(1, 3, 4, 2, 2)
JOINTS = torch.tensor([[0.5, -0.5, 0.0]])
TASK = torch.zeros(1, dtype=torch.long)


def photographs(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, 3, 32, 32, 3), generator=generator).byte()


def clean_frames(viva: ViVa, latent: Tensor) -> Tensor:
    return viva.targets.clean(Goals(latent, JOINTS), viva.config.latent_shape)


def answer(viva: ViVa, monkeypatch: pytest.MonkeyPatch, clean: Tensor) -> None:
    """Replace the transformer by a perfect one, which knows the clean target frames."""

    def velocity(video: Tensor, tau: Tensor, noisy: int, task: Tensor) -> Tensor:
        found = torch.zeros_like(video)
        found[:, :, -2:] = (video[:, :, -2:] - clean) / tau.view(-1, 1, 1, 1, 1)
        return found

    monkeypatch.setattr(viva, 'velocity', velocity)


@pytest.mark.parametrize(('success', 'step', 'expected'), [
    (True, 0, 0.25), (True, 3, 1.0), (False, 0, -0.75), (False, 3, 0.0),
])  # fmt: skip
def test_perfect_model_outputs_one_minus_return(
    viva: ViVa, monkeypatch: pytest.MonkeyPatch, success: bool, step: int, expected: float
) -> None:
    # Four steps: G = (4 - t) / 4 for t = 1..4, plus 1 on failure; V = 1 - G rises to success.
    returned = returns(4, success)[step]
    assert value_from_return(returned) == expected
    latent = torch.tensor([latent_from_value(value_from_return(returned))]).float()
    assert float(latent) == returned - 1  # v = G - 1 = -V
    answer(viva, monkeypatch, clean_frames(viva, latent))
    value, forecast = viva.read(viva.denoise(IMAGES, JOINTS, TASK))
    assert float(value) == pytest.approx(expected, abs=1e-6)
    # Ranges are -1..1, 0..0.5, and 2 without a span.
    assert forecast[0].tolist() == pytest.approx([0.5, 0.125, 2.0], abs=1e-5)


def test_value_outside_its_range_is_clamped(viva: ViVa) -> None:
    frames = clean_frames(viva, torch.tensor([-1.5]))
    assert float(viva.read(frames)[0]) == 1.0
    assert float(viva.read(-frames)[0]) == -1.0


def test_value_is_deterministic(viva: ViVa) -> None:
    with torch.inference_mode():
        first = viva(photographs(), JOINTS, TASK)
        assert torch.equal(first[0], viva(photographs(), JOINTS, TASK)[0])
        other = viva(photographs(1), JOINTS, TASK)
    assert not torch.equal(first[0], other[0])


def test_batch_equals_single_estimates(viva: ViVa) -> None:
    images = torch.cat([photographs(0), photographs(1)])
    joints, tasks = JOINTS.repeat(2, 1), torch.tensor([0, 1])
    with torch.inference_mode():
        together = viva(images, joints, tasks)[0]
        alone = [viva(images[i : i + 1], joints[:1], tasks[i : i + 1])[0] for i in (0, 1)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=0)


def test_value_depends_on_task(viva: ViVa) -> None:
    with torch.inference_mode():
        values = [float(viva(photographs(), JOINTS, TASK + task)[0]) for task in (0, 1)]
    assert values[0] != values[1]


def test_views_are_encoded_separately_and_normalised(viva: ViVa) -> None:
    images = photographs()
    with torch.inference_mode():
        encoded = viva.encode(images)
        raw = viva.vae.encode(images[0, 1:2].permute(0, 3, 1, 2) / 127.5 - 1)
    expected = (raw - viva.latents_mean[:, None, None]) / viva.latents_std[:, None, None]
    assert encoded.shape == (1, 3, 4, 2, 2)
    torch.testing.assert_close(encoded[0, 1], expected[0], atol=1e-5, rtol=0)


def test_decoding_inverts_normalisation(viva: ViVa) -> None:
    raw = torch.randn(1, 4, 2, 2)
    with torch.inference_mode():
        given = viva.decode(viva.normalise_latents(raw))
        torch.testing.assert_close(given, viva.vae.decode(raw), atol=1e-5, rtol=0)


def test_joint_normalisation_equals_core(viva: ViVa) -> None:
    positions = np.array([[-0.5, 0.25, 2.0], [3.0, -1.0, 7.0]])
    given = viva.normalise_joints(torch.from_numpy(positions).float())
    assert given.tolist() == viva.ranges.normalise(positions).tolist()
    assert given.tolist() == [[-0.5, 0.0, 0.0], [1.0, -1.0, 0.0]]
    back = viva.denormalise_joints(given)
    assert back[0].tolist() == [-0.5, 0.25, 2.0]


def test_loss_weights_target_frames_alone(viva: ViVa, monkeypatch: pytest.MonkeyPatch) -> None:
    def velocity(video: Tensor, tau: Tensor, noisy: int, task: Tensor) -> Tensor:
        exact = (video[:, :, -2:] - clean) / tau.view(-1, 1, 1, 1, 1)
        found = torch.full_like(video, 1e6)  # wrong everywhere else
        found[:, :, -2:] = exact + torch.tensor([2.0, 3.0]).view(1, 1, 2, 1, 1)
        return found

    latent = torch.tensor([-0.4])
    clean = clean_frames(viva, latent)
    monkeypatch.setattr(viva, 'velocity', velocity)
    loss = viva.loss(IMAGES, JOINTS, Goals(latent, JOINTS), TASK, torch.Generator().manual_seed(0))
    assert float(loss['proprio']) == pytest.approx(4.0, rel=1e-4)
    assert float(loss['value']) == pytest.approx(9.0, rel=1e-4)
    assert float(loss['total']) == pytest.approx(0.5 * 4.0 + 1.0 * 9.0, rel=1e-4)


def test_conditioning_frames_stay_clean_in_training(
    viva: ViVa, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def velocity(video: Tensor, tau: Tensor, noisy: int, task: Tensor) -> Tensor:
        calls.append((video, noisy))
        return torch.zeros_like(video)

    monkeypatch.setattr(viva, 'velocity', velocity)
    images = torch.randn(1, 3, 4, 2, 2)
    viva.loss(images, JOINTS, Goals(torch.zeros(1), JOINTS), TASK)
    ((video, noisy),) = calls
    assert noisy == 2
    assert torch.equal(video[:, :, :5], latents.conditioning(JOINTS, images))


def test_regression_learns_what_it_gives_live(make_viva: Callable[..., ViVa]) -> None:
    viva, latent = make_viva(objective='regression'), torch.tensor([-0.4])
    assert not viva.noise.any()
    clean = clean_frames(viva, latent)
    with torch.no_grad():
        loss = viva.loss(IMAGES, JOINTS, Goals(latent, JOINTS), TASK)
        errors = (viva.denoise(IMAGES, JOINTS, TASK) - clean).square().mean(dim=(0, 1, 3, 4))
    assert float(loss['proprio']) == pytest.approx(float(errors[0]), rel=1e-5)
    assert float(loss['value']) == pytest.approx(float(errors[1]), rel=1e-5)


def test_regression_draws_nothing_and_flow_matching_does(make_viva: Callable[..., ViVa]) -> None:
    for objective, is_random in (('regression', False), ('flow', True)):
        viva, latent = make_viva(objective=objective), torch.tensor([-0.4])
        found = {
            float(viva.loss(IMAGES, JOINTS, Goals(latent, JOINTS), TASK)['total'].detach())
            for _ in range(3)
        }
        assert (len(found) > 1) is is_random, objective


def test_regression_takes_one_step_alone(make_viva: Callable[..., ViVa]) -> None:
    with pytest.raises(ValueError, match='denoising steps are 2, must be 1 with regression'):
        make_viva(objective='regression').denoise(IMAGES, JOINTS, TASK, 2)


def test_unknown_objective_is_refused(make_viva: Callable[..., ViVa]) -> None:
    with pytest.raises(ValueError, match="objective is 'gan', must be one of flow, regression"):
        make_viva(objective='gan')


def test_video_loss_conditions_on_first_frame(viva: ViVa, monkeypatch: pytest.MonkeyPatch) -> None:
    clips, calls = torch.randn(2, 4, 7, 2, 2), []

    def velocity(video: Tensor, tau: Tensor, noisy: int, task: Tensor) -> Tensor:
        calls.append((video, noisy))
        return (video - clips) / tau.view(-1, 1, 1, 1, 1)

    monkeypatch.setattr(viva, 'velocity', velocity)
    loss = viva.video_loss(clips, torch.zeros(2, dtype=torch.long))
    ((video, noisy),) = calls
    assert noisy == 6
    assert torch.equal(video[:, :, 0], clips[:, :, 0])
    assert not torch.isclose(video[:, :, 1:], clips[:, :, 1:]).any(dim=(1, 3, 4)).all()
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize('per_token', [False, True])
def test_clean_tokens_have_time_zero_with_per_token_times(
    make_viva: Callable[..., ViVa], monkeypatch: pytest.MonkeyPatch, per_token: bool
) -> None:
    viva, times = make_viva(per_token_times=per_token), []

    def transformer(video: Tensor, time: Tensor, *_: Tensor, **__: object) -> list[Tensor]:
        times.append(time)
        return [video]

    monkeypatch.setattr(viva.transformer, 'forward', transformer)
    viva.velocity(torch.zeros(1, 4, 7, 2, 2), torch.tensor([0.5]), 2, TASK)
    # One patch of 2 x 2 for each of 7 frames.
    assert times[0].tolist() == ([[0, 0, 0, 0, 0, 500, 500]] if per_token else [500.0])


def test_number_of_denoising_steps_changes_the_value(viva: ViVa) -> None:
    with torch.inference_mode():
        one, four = (viva(photographs(), JOINTS, TASK, steps)[0] for steps in (1, 4))
    assert torch.isfinite(four).all()
    assert not torch.equal(one, four)


def test_ranges_of_other_joints_are_refused(viva: ViVa) -> None:
    with pytest.raises(ValueError, match=r"ranges are of \('x',\)"):
        ViVa(viva.config, JointRanges(('x',), (0.0,), (1.0,)))
