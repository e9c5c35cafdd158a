# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from support.errors import raises
from torch import Tensor

from benchmarks.ablation.baseline import Draw, Material
from benchmarks.ablation.baselines import GoalLoss, encoded_loss, goal_value
from benchmarks.ablation.entries import ENTRIES, Entry, chosen, entry_of, key_of
from benchmarks.ablation.models.goal_value import GoalValue
from viva_ros.model import noise
from viva_ros.model.viva import ViVa
from viva_ros.training import losses
from viva_ros.training.augmentation import AugmentSettings
from viva_ros.training.dataset import Data

STILL = AugmentSettings(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def stuff(tiny_viva: ViVa, make_slide_data: Callable[..., Data]) -> Material:
    data = make_slide_data(range(1, 4))  # the third fails
    losses.set_statistics(tiny_viva, losses.encode_all(tiny_viva, data))
    return Material(tiny_viva, data, [losses.encode_all(tiny_viva, data)], STILL, 0)


def test_all_of_the_issue_take_part() -> None:
    assert [entry.name for entry in ENTRIES] == [
        'viva_success', 'viva', 'value_success', 'value_only', 'regression_success',
        'regression', 'regression_value_success', 'regression_value', 'bins', 'icvf', 'proprio',
        'no_video', 'k10', 'k25', 'k75', 'frozen', 'images',
    ]  # fmt: skip


def test_grid_has_all_combinations_of_its_factors(stuff: Material) -> None:
    cells = {entry.grid: entry for entry in ENTRIES if entry.grid is not None}
    assert len(cells) == 8
    for (flow, outcome, forecast), entry in cells.items():
        model = entry.build(stuff).module
        assert ('success' in model.outputs) is outcome, entry.name
        assert ('forecast' in model.outputs) is forecast, entry.name
        assert bool(model.noise.any()) is flow, entry.name


def test_repeats_of_a_contender_have_keys_of_their_own() -> None:
    (entry,) = chosen(['bins'])
    assert [key_of(entry, repeat) for repeat in (0, 2)] == ['bins', 'bins.2']
    assert [entry_of(key) for key in ('bins', 'bins.2')] == [(entry, 0), (entry, 2)]


def test_contenders_are_chosen_by_name_in_their_order() -> None:
    assert [entry.name for entry in chosen(['k75', 'viva'])] == ['viva', 'k75']
    with raises('compare-contender', 'vival', 'viva_success'):
        chosen(['vival'])


@pytest.mark.parametrize('entry', ENTRIES, ids=lambda entry: entry.name)
def test_each_loss_decreases_in_training(entry: Entry, stuff: Material) -> None:
    contender = entry.build(stuff)
    # The temporal difference starts near 0 in some networks, so that large steps increase it.
    batch, steps, rate = (64, 24, 3e-4) if entry.name == 'icvf' else (8, 8, 1e-3)
    trained = [p for p in contender.trained.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=rate)
    before = float(contender.loss(batch, generator())['total'].detach())
    for _ in range(steps):
        optimiser.zero_grad()
        contender.loss(batch, generator())['total'].backward()
        optimiser.step()
    assert float(contender.loss(batch, generator())['total'].detach()) < 0.95 * before


@pytest.mark.parametrize('entry', ENTRIES, ids=lambda entry: entry.name)
def test_nobody_changes_what_others_begin_with(entry: Entry, stuff: Material) -> None:
    before = {name: tensor.clone() for name, tensor in stuff.base.state_dict().items()}
    contender = entry.build(stuff)
    with torch.no_grad():
        for parameter in contender.trained.parameters():
            parameter.add_(1.0)
    after = stuff.base.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_contenders_start_with_equal_weights(stuff: Material) -> None:
    with torch.no_grad():
        for parameter in stuff.base.transformer.parameters():
            parameter.add_(0.01)
    built = {entry.name: entry.build(stuff).module for entry in ENTRIES}
    weight = stuff.base.transformer.proj_out.weight
    for name in ('viva', 'viva_success', 'value_only', 'regression', 'k10', 'images', 'frozen'):
        assert torch.equal(built[name].transformer.proj_out.weight, weight), name
    assert not torch.equal(built['no_video'].transformer.proj_out.weight, weight)
    assert torch.equal(built['no_video'].vae.quant_conv.weight, stuff.base.vae.quant_conv.weight)
    horizons = {name: built[name].config.horizon for name in ('viva', 'k10', 'k25', 'k75')}
    assert horizons == {'viva': 1.0, 'k10': 0.2, 'k25': 0.5, 'k75': 1.5}
    assert built['value_only'].outputs == ('value',)
    assert built['viva_success'].outputs == ('value', 'forecast', 'progress', 'success')


def test_views_encoded_beforehand_are_those_that_the_model_sees(stuff: Material) -> None:
    rows = torch.tensor([4, 0, 15])
    images = torch.from_numpy(stuff.data.images[[4, 0, 15]])
    with torch.no_grad():
        torch.testing.assert_close(
            stuff.latents(rows, 0), stuff.base.encode(images), atol=1e-2, rtol=0
        )


def test_another_horizon_has_another_forecast_to_learn(stuff: Material) -> None:
    near = encoded_loss(stuff, stuff.viva(horizon=0.2)).labels
    far = encoded_loss(stuff, stuff.viva()).labels
    # joint 'left_waist' is k / 55 at 20 ms k: 10 steps later it has gone on by 10 / 55 of [0, 1].
    gone = (near.future - near.proprio)[0, 0]
    assert float(gone) == pytest.approx(2 * 10 / 55, abs=1e-5)
    assert float((far.future - far.proprio)[0, 0]) == pytest.approx(2 * 50 / 55, abs=1e-5)


def test_future_images_are_those_one_horizon_later(
    stuff: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = stuff.viva(targets=('proprio', 'images', 'value'), horizon=0.4)
    seen: list[Tensor | None] = []

    def loss(views: Tensor, proprio: Tensor, goals: object, *_: object) -> dict[str, Tensor]:
        seen.extend([views, goals.images])  # type: ignore[attr-defined]
        return {'total': torch.zeros(())}

    monkeypatch.setattr(model, 'loss', loss)
    encoded_loss(stuff, model)(16, generator())
    views, later = seen
    known = stuff.latents(torch.arange(18), 0)  # 3 episodes of 6 moments, 0.2 s apart
    for now, then in zip(views, later, strict=True):
        rows = [r for r in range(18) if torch.equal(known[r], now)]
        wanted = [min(row + 2, row // 6 * 6 + 5) for row in rows]  # 20 steps of 20 ms
        assert any(torch.equal(known[row], then) for row in wanted)


def test_only_the_ends_of_a_frozen_trunk_learn(stuff: Material) -> None:
    frozen = next(entry for entry in ENTRIES if entry.name == 'frozen').build(stuff)
    before = {name: tensor.clone() for name, tensor in frozen.module.state_dict().items()}
    optimiser = torch.optim.Adam(frozen.trained.parameters(), lr=1e-2)
    frozen.loss(4, generator())['total'].backward()
    optimiser.step()
    changed = {
        name.split('.')[1] for name, tensor in frozen.module.state_dict().items()
        if not torch.equal(tensor, before[name])
    }  # fmt: skip
    assert changed == {'patch_embedding', 'proj_out', 'scale_shift_table'}


def test_regression_minimises_the_error_of_what_it_gives_live(
    stuff: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry,) = chosen(['regression'])
    contender = entry.build(stuff)
    model, labels = contender.module, contender.loss.labels  # type: ignore[attr-defined]
    rows = torch.tensor([2, 9, 17])
    monkeypatch.setattr(noise, 'weighted', lambda weights, batch, source: rows)
    found = contender.loss(3, generator())
    with torch.no_grad():
        frames = model.denoise(stuff.latents(rows, 0), labels.proprio[rows], labels.task[rows])
    wanted = labels.latent[rows].view(3, 1, 1, 1)
    error = (frames[:, :, 1] - wanted).square().mean()
    assert float(found['value'].detach()) == pytest.approx(float(error), rel=1e-5)


def test_the_goal_value_is_read_in_steps_of_a_success(
    stuff: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = goal_value(stuff).module
    assert isinstance(model, GoalValue)
    assert model.duration.tolist() == [6.0]  # moments of a slide
    found = -(1 - 0.99 ** torch.tensor([[0.0, 0.0], [3.0, 3.0], [6.0, 6.0], [60.0, 60.0]]))
    monkeypatch.setattr(model, '_join', lambda state, goal: torch.stack([found, found]))
    latents = torch.zeros(4, 3, 4, 2, 2)
    (value,) = model.from_latents(latents, torch.zeros(4, 3), torch.zeros(4, dtype=torch.long))
    assert value.tolist() == pytest.approx([1.0, 0.5, 0.0, -1.0], abs=1e-4)


def test_the_goals_to_reach_are_endings_of_successes(stuff: Material) -> None:
    model = goal_value(stuff).module
    assert isinstance(model, GoalValue)
    proprio = stuff.labels(stuff.config).proprio
    rows = torch.tensor([5, 11])  # the last of two successes; that of the failure is 17
    wanted = model.look(stuff.latents(rows, 0), proprio[rows])
    assert torch.equal(model.goals[0, :2], wanted)
    assert torch.equal(model.goals[0, 2:4], wanted)


def test_the_goal_value_learns_by_expectiles(
    stuff: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    contender = goal_value(stuff)
    loss, model = contender.loss, contender.module
    assert isinstance(loss, GoalLoss)
    rows = [torch.full((1, 51), float(number)) for number in range(3)]
    slow = {0.0: -0.5, 1.0: -0.4}
    monkeypatch.setattr(
        loss._target, 'values', lambda s, g: torch.full((2, 1), slow[float(s[0, 0])])
    )
    monkeypatch.setattr(model, 'values', lambda s, g: torch.full((2, 1), -0.5))
    away, there = torch.tensor([False]), torch.tensor([True])
    # Better than thought: -0.01 + 0.99 * -0.4 = -0.406, error 0.094 in both heads.
    assert float(loss.difference(*rows, away)) == pytest.approx(2 * 0.9 * 0.094**2, rel=1e-4)
    # At the goal it costs nothing: error 0.5.
    assert float(loss.difference(*rows, there)) == pytest.approx(2 * 0.9 * 0.25, rel=1e-4)
    slow[1.0] = -0.6  # worse: -0.01 + 0.99 * -0.6 = -0.604, error 0.104, at a ninth of the weight
    assert float(loss.difference(*rows, away)) == pytest.approx(2 * 0.1 * 0.104**2, rel=1e-3)


def test_goals_are_drawn_in_hindsight(stuff: Material) -> None:
    loss = goal_value(stuff).loss
    assert isinstance(loss, GoalLoss)
    rows = torch.randint(18, (6000,), generator=generator(1))
    goals = loss.goals(rows, generator(2))
    other = goals // 6 != rows // 6
    assert float(other.float().mean()) == pytest.approx(0.3 * 2 / 3, abs=0.02)  # of 3 episodes
    last = rows % 6 == 5  # nothing is later: itself, unless any is drawn
    assert float((goals == rows)[last].float().mean()) == pytest.approx(0.7 + 0.3 / 18, abs=0.04)
    earlier = (goals < rows) & ~other
    assert float(earlier.float().mean()) == pytest.approx(0.3 * 2.5 / 18, abs=0.01)


def test_the_goal_value_does_not_look_at_outcomes(stuff: Material) -> None:
    labels = [{**label, 'success': not label['success']} for label in stuff.data.labels]
    turned = replace(stuff, data=replace(stuff.data, labels=labels))
    totals = [goal_value(m).loss(32, generator())['total'] for m in (stuff, turned)]
    assert float(totals[0].detach()) == float(totals[1].detach())


def test_the_slow_copy_follows_by_half_a_percent(stuff: Material) -> None:
    contender = goal_value(stuff)
    loss, model = contender.loss, contender.module
    assert isinstance(loss, GoalLoss)
    assert isinstance(model, GoalValue)
    with torch.no_grad():
        model.state[0].bias.fill_(1.0)
        loss._target.state[0].bias.fill_(0.0)
    loss(4, generator())
    torch.testing.assert_close(loss._target.state[0].bias, torch.full((256,), 0.005))


def test_drawn_moments_are_of_all_tasks_alike(stuff: Material) -> None:
    labels = [{**label, 'task': 'push' if i == 0 else 'slide'}
              for i, label in enumerate(stuff.data.labels)]  # fmt: skip
    data = replace(stuff.data, labels=labels)
    rows = Draw(replace(stuff, data=data)).rows(4000, generator())
    assert float((rows < 6).float().mean()) == pytest.approx(0.5, abs=0.03)
