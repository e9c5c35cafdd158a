# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from viva_ros.model import noise, viva
from viva_ros.model.latents import Goals
from viva_ros.model.proprio import ProprioModel
from viva_ros.model.viva import ViVa
from viva_ros.training import losses
from viva_ros.training.augmentation import AugmentSettings
from viva_ros.training.cache import Data

STILL = AugmentSettings(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_rows_are_returned_in_the_given_order() -> None:
    array = np.arange(10) * 10
    assert losses.take(array, torch.tensor([7, 2, 7, 0])).tolist() == [70, 20, 70, 0]


def test_latent_statistics_are_per_channel(tiny_viva: ViVa) -> None:
    raw = np.zeros((2, 3, 4, 2, 2), dtype=np.float16)
    raw[:, :, 1] = 3.0
    raw[0, :, 2], raw[1, :, 2] = 1.0, 5.0
    losses.set_statistics(tiny_viva, raw)
    assert tiny_viva.latents_mean.tolist() == [0.0, 3.0, 3.0, 0.0]
    assert tiny_viva.latents_std.tolist() == [0.0, 0.0, 2.0, 0.0]


def test_encoded_views_equal_those_of_the_model(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data]
) -> None:
    data = make_slide_data(range(1, 3))
    raw = losses.encode_all(tiny_viva, data)
    with torch.inference_mode():
        expected = tiny_viva.encode(torch.from_numpy(np.array(data.images[3:4])))
    assert raw.shape == (12, 3, 4, 2, 2)
    np.testing.assert_allclose(raw[3], expected[0].numpy(), atol=2e-3)


def test_clip_is_of_one_camera_and_repeats_its_last_frame(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_slide_data(range(1, 3))  # two episodes of 6 moments
    raw = np.zeros((12, 3, 4, 2, 2), dtype=np.float16)
    raw += np.arange(12)[:, None, None, None, None] + 100 * np.arange(3)[:, None, None, None]
    seen: list[Tensor] = []

    def video_loss(clips: Tensor, task: Tensor, source: torch.Generator) -> Tensor:
        seen.append(clips)
        return torch.zeros(())

    monkeypatch.setattr(tiny_viva, 'video_loss', video_loss)
    losses.VideoLoss(tiny_viva, data, raw, spacing=2)(64, generator())
    clips = seen[0][:, 0, :, 0, 0]  # (B, F)
    for clip in clips.int().tolist():
        camera, first = clip[0] // 100, clip[0] % 100
        last = 5 if first < 6 else 11
        assert clip == [100 * camera + min(first + 2 * k, last) for k in range(7)]
    assert len({clip[0] // 100 for clip in clips.int().tolist()}) == 3


def test_moments_are_drawn_with_their_own_labels(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_slide_data(range(1, 4))  # the third fails
    labels = losses.Labels.of(data, tiny_viva, ('slide',))
    # v = G - 1: from the first moment of a success, G = 11/12, and of a failure, G = 1 + 11/12.
    assert labels.latent[[0, 12]].tolist() == pytest.approx([-1 / 12, 11 / 12])
    assert labels.failed[[0, 6, 12]].tolist() == [0.0, 0.0, 1.0]
    seen: list[tuple[Tensor, Tensor, Goals]] = []

    def loss(latents: Tensor, proprio: Tensor, goals: Goals, *_: object) -> dict[str, Tensor]:
        seen.append((latents, proprio, goals))
        return {'total': torch.zeros(())}

    monkeypatch.setattr(tiny_viva, 'loss', loss)
    losses.ViVaLoss(tiny_viva, data, labels, STILL)(8, generator())
    latents, proprio, goals = seen[0]
    assert goals.future is not None
    assert latents.shape == (8, 3, 4, 2, 2)
    for row in range(8):
        here = (labels.proprio - proprio[row]).abs().sum(1) < 1e-6
        assert (here & (labels.latent == goals.latent[row])).any()
        assert torch.equal(goals.future[row], labels.future[here][0])


def test_tasks_are_drawn_equally_often(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_slide_data(range(1, 5))
    labels = [{**label, 'task': 'push' if k == 0 else 'slide'}
              for k, label in enumerate(data.labels)]  # fmt: skip
    data = replace(data, labels=labels)  # 6 moments of push, 18 of slide
    tasks: list[int] = []

    def loss(_: Tensor, proprio: Tensor, goals: Goals, task: Tensor, *__: object) -> object:
        tasks.extend(task.tolist())
        return {'total': torch.zeros(())}

    monkeypatch.setattr(tiny_viva, 'loss', loss)
    learnt = losses.Labels.of(data, tiny_viva, ('push', 'slide'))
    losses.ViVaLoss(tiny_viva, data, learnt, STILL)(400, generator())
    # Binomial with n = 400 and p = 1/2 has a deviation of 10; drawn by moments it would be 100.
    assert 150 < tasks.count(0) < 250


def test_views_encoded_in_chunks_equal_those_encoded_at_once(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_slide_data(range(1, 3))
    labels = losses.Labels.of(data, tiny_viva, ('slide',))
    sizes: list[int] = []
    encode = tiny_viva.vae.encode
    monkeypatch.setattr(
        tiny_viva.vae, 'encode', lambda pixels: sizes.append(len(pixels)) or encode(pixels)
    )
    given = []
    for chunk in (192, 4):
        sizes.clear()
        for module in (losses, viva):
            monkeypatch.setattr(module, 'encoding_chunk', lambda _, chunk=chunk: chunk)
        loss = losses.ViVaLoss(tiny_viva, data, labels, AugmentSettings())
        with torch.no_grad():
            images = torch.from_numpy(np.array(data.images[:5]))
            source = generator()
            parts = [loss._views(torch.arange(7), source), tiny_viva.encode(images)]
            parts.append(torch.from_numpy(losses.encode_all(tiny_viva, data).astype(np.float32)))
        assert max(sizes) == min(chunk, 36)
        given.append([*parts, torch.rand(1, generator=source)])
    for whole, chunked in zip(*given, strict=True):
        torch.testing.assert_close(chunked, whole, atol=2e-3, rtol=0)


def test_stored_latents_equal_those_of_encoded_views(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data]
) -> None:
    data = make_slide_data(range(1, 3))
    labels = losses.Labels.of(data, tiny_viva, ('slide',))
    raw = losses.encode_all(tiny_viva, data)
    encoding = losses.ViVaLoss(tiny_viva, data, labels, STILL)(8, generator())
    stored = losses.ViVaLoss(tiny_viva, data, labels, STILL, [raw])
    rows = torch.arange(12)
    views = stored._stored(raw, rows)
    with torch.no_grad():
        expected = tiny_viva.encode(torch.from_numpy(np.array(data.images)))
    torch.testing.assert_close(views, expected, atol=2e-3, rtol=0)
    assert stored(8, generator()).keys() == encoding.keys()


def test_augmented_copies_differ_and_are_reproducible(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data]
) -> None:
    data = make_slide_data(range(1, 2))
    plain = losses.encode_all(tiny_viva, data)
    copies = [losses.encode_all(tiny_viva, data, AugmentSettings(), generator(seed))
              for seed in (1, 1, 2)]  # fmt: skip
    assert np.array_equal(copies[0], copies[1])
    assert not np.array_equal(copies[0], copies[2])
    assert not np.array_equal(copies[0], plain)


def test_each_loss_decreases_in_training(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data]
) -> None:
    data = make_slide_data(range(1, 3))
    labels = losses.Labels.of(data, tiny_viva, ('slide',))
    raw = losses.encode_all(tiny_viva, data)
    proprio = ProprioModel(tiny_viva.ranges, 1)
    trained = [
        (losses.VaeLoss(tiny_viva, data, AugmentSettings()), tiny_viva.vae),
        (losses.VideoLoss(tiny_viva, data, raw, 1), tiny_viva.transformer),
        (losses.ViVaLoss(tiny_viva, data, labels, AugmentSettings()), tiny_viva.transformer),
        (losses.ProprioLoss(proprio, labels, AugmentSettings()), proprio),
    ]
    for loss, module in trained:
        optimiser = torch.optim.Adam(module.parameters(), lr=1e-3)
        before = float(loss(4, generator())['total'].detach())
        for _ in range(8):
            optimiser.zero_grad()
            loss(4, generator())['total'].backward()
            optimiser.step()
        after = float(loss(4, generator())['total'].detach())
        assert after < 0.95 * before, f'{type(loss).__name__}: {before} to {after}'


def test_vae_has_no_gradient_in_the_last_stage(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data]
) -> None:
    data = make_slide_data(range(1, 2))
    labels = losses.Labels.of(data, tiny_viva, ('slide',))
    losses.ViVaLoss(tiny_viva, data, labels, AugmentSettings())(2, generator())['total'].backward()
    assert all(parameter.grad is None for parameter in tiny_viva.vae.parameters())
    assert any(parameter.grad is not None for parameter in tiny_viva.transformer.parameters())


def test_metrics_of_a_perfect_and_an_inverted_model(make_slide_data: Callable[..., Data]) -> None:
    data = make_slide_data(range(1, 4))
    perfect = losses.figures(data, 1.0 - data.returned, data.future)
    assert perfect == pytest.approx(
        {'value_error': 0.0, 'forecast_error': 0.0, 'spearman': 1.0, 'auroc': 1.0}, abs=1e-5
    )
    turned = losses.figures(data, data.returned - 1.0, data.future + 0.5)
    assert turned['spearman'] == pytest.approx(-1.0)
    assert turned['auroc'] == 0.0
    assert turned['forecast_error'] == pytest.approx(0.5, abs=1e-5)


def test_error_of_an_outcome_frame_wants_no_success_in_failures(
    make_slide_data: Callable[..., Data],
) -> None:
    data = make_slide_data(range(1, 4))  # the third fails
    # V = progress + success - 1 of a model that knows each outcome: failures end at -1 or so.
    progress = np.where(data.failed, 0.3, 1.0 - data.returned)
    knows, blind = (~data.failed).astype(float), np.full(len(data.failed), 0.5)
    errors = [
        losses.figures(data, progress + success - 1.0, data.future, success)['value_error']
        for success in (knows, blind)
    ]
    assert errors == pytest.approx([0.0, 0.5], abs=1e-5)


def test_joints_alone_are_trained_on_all_tasks_alike(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data]
) -> None:
    data = make_slide_data(range(1, 4))
    for number, label in enumerate(data.labels):
        label['task'] = 'push' if number == 0 else 'slide'
    labels = losses.Labels.of(data, tiny_viva, ('push', 'slide'))
    loss = losses.ProprioLoss(ProprioModel(tiny_viva.ranges, 2), labels, AugmentSettings())
    rows = noise.weighted(loss._weights, 4000, generator())
    assert float((labels.task[rows] == 0).float().mean()) == pytest.approx(0.5, abs=0.03)


def test_predictions_equal_those_of_the_model(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data]
) -> None:
    data = make_slide_data(range(1, 3))
    tiny_viva.eval()
    labels = losses.Labels.of(data, tiny_viva, ('slide',))
    values, forecasts = losses.predict(tiny_viva, losses.encode_all(tiny_viva, data), labels)
    rows = slice(4, 6)
    with torch.inference_mode():
        images = torch.from_numpy(np.array(data.images[rows]))
        joints = torch.from_numpy(data.proprio[rows])
        expected = tiny_viva(images, joints, torch.zeros(2, dtype=torch.long))
    np.testing.assert_allclose(values[rows], expected[0].numpy(), atol=5e-3)  # float16 latents
    np.testing.assert_allclose(forecasts[rows], expected[1].numpy(), atol=5e-3)


def test_joint_noise_does_not_change_the_labels(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data]
) -> None:
    data = make_slide_data(range(1, 2))
    labels = losses.Labels.of(data, tiny_viva, ('slide',))
    before = labels.proprio.clone()
    losses.ViVaLoss(tiny_viva, data, labels, replace(STILL, joints=0.5))(4, generator())
    assert torch.equal(labels.proprio, before)
