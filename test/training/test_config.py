# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Schedules, with expected numbers computed by hand."""

import math
from dataclasses import fields

import pytest
import torch
from support.errors import raises
from torch import nn

from viva_ros.core.settings import setting_of
from viva_ros.model.viva import shift_tau
from viva_ros.training import trainer
from viva_ros.training.config import ONE_EPOCH, TrainPlan, plan, too_short
from viva_ros.training.trainer import Schedule

MOMENTS = 1_000_000


def test_5b_schedule_is_that_of_the_paper() -> None:
    viva = plan(None, {}, 'wan2.2-5b').settled(MOMENTS).viva
    assert (viva.batch, viva.rate, viva.warm_up) == (192, 4e-5, 500)
    assert viva.steps == 5209  # 1 000 000 / 192 = 5208.33: one epoch
    assert (trainer.BETAS, trainer.WEIGHT_DECAY, trainer.CLIP) == ((0.9, 0.95), 0.01, 1.0)
    assert viva.rate_at(0) == pytest.approx(8e-8)  # 4e-5 / 500
    assert viva.rate_at(249) == pytest.approx(2e-5)
    assert [viva.rate_at(step) for step in (499, 500, 5208)] == pytest.approx([4e-5] * 3)
    assert viva.average == 0.0


def test_5b_skips_the_vae_and_video_stages() -> None:
    made = plan(None, {}, 'wan2.2-5b')
    assert (made.vae.steps, made.video.steps, made.viva.steps) == (0, 0, ONE_EPOCH)


def test_small_preset_rate_follows_a_cosine() -> None:
    viva = plan(None, {'viva': 3000}).viva
    assert (viva.batch, viva.rate, viva.warm_up, viva.lowest) == (32, 1e-3, 200, 0.05)
    assert viva.rate_at(99) == pytest.approx(5e-4)
    # A quarter of the way from step 200 to 3000: 0.05 + 0.95 (1 + cos(pi / 4)) / 2.
    assert viva.rate_at(900) == pytest.approx(1e-3 * (0.05 + 0.475 * (1 + math.sqrt(0.5))))
    assert viva.rate_at(3000) == pytest.approx(5e-5)


def test_warm_up_of_short_stage_is_a_fifth() -> None:
    viva = plan(8, {'viva': 13}, 'wan2.2-5b').settled(100).viva
    assert (viva.steps, viva.warm_up) == (13, 2)


def test_fine_tuning_of_little_data_keeps_its_warm_up() -> None:
    # 20 000 moments in batches of 192 are 105 steps, all of them in a warm-up of 500.
    viva = plan(None, {}, 'wan2.2-5b').settled(20_000).viva
    assert (viva.steps, viva.warm_up) == (2500, 500)
    assert plan(None, {}, 'wan2.2-5b').settled(480_001).viva.steps == 2501
    small = plan(None, {}).settled(20_000).viva
    assert (small.steps, small.warm_up) == (5000, 200)


def test_short_stage_names_steps_moments_and_remedy() -> None:
    usual = plan(None, {}, 'wan2.2-5b').settled(480_000).viva
    assert too_short('viva', usual, 480_000, usual) == ''
    short = plan(None, {'viva': 1000}, 'wan2.2-5b').viva
    assert too_short('viva', short, 480_000, usual) == (
        'stage viva is short: 1000 steps of 192 samples for 480000 moments, 0.40 of an epoch and '
        'a warm-up of 200 steps instead of 500: set --viva-steps 2500 or more'
    )
    mended = plan(None, {'viva': 2500}, 'wan2.2-5b').viva
    assert too_short('viva', mended, 480_000, usual) == ''


def test_rate_of_adapters_and_given_rate() -> None:
    assert plan(None, {}, 'wan2.2-5b', lora=16).viva.rate == 2e-4
    assert plan(None, {}, 'small', lora=16).viva.rate == 2e-4
    given = plan(None, {}, 'wan2.2-5b', rate=5e-4, lora=16)
    assert (given.viva.rate, given.head.rate) == (5e-4, 5e-4)
    assert given.proprio == plan(None, {}, 'wan2.2-5b').proprio
    for rate in (0.0, -1.0, math.nan):
        with raises('setting-out-of-range', 'learning_rate is', 'above 0'):
            plan(None, {}, rate=rate)


def test_given_lengths_replace_those_of_the_preset() -> None:
    made = plan(7, {'vae': 10, 'viva': None})
    assert (made.vae.steps, made.vae.warm_up, made.vae.batch) == (10, 2, 7)
    assert made.viva.steps == TrainPlan().viva.steps
    with raises('setting-out-of-range', 'head steps is -3', 'at least 0'):
        plan(None, {'head': -3})


def test_first_step_is_that_of_adamw() -> None:
    # First step of AdamW: w - rate (decay w + g / (|g| + eps)) with decay .01.
    line = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        line.weight.fill_(2.0)
    optimiser = torch.optim.AdamW(
        line.parameters(), lr=0.1, betas=trainer.BETAS, weight_decay=trainer.WEIGHT_DECAY
    )
    line(torch.tensor([[3.0]])).sum().backward()
    optimiser.step()
    assert line.weight.item() == pytest.approx(2.0 - 0.1 * (0.01 * 2.0 + 1.0))


def test_flow_times_are_shifted_by_five() -> None:
    s = torch.tensor([0.0, 0.5, 1.0])
    # tau = 5 s / (1 + 4 s): 2.5 / 3 at a half.
    torch.testing.assert_close(shift_tau(s, 5.0), torch.tensor([0.0, 5 / 6, 1.0]))


def test_lowest_of_one_keeps_the_full_rate() -> None:
    assert Schedule(100, 1, 1.0, 10, lowest=1.0).rate_at(77) == 1.0


def test_each_length_option_names_its_stage() -> None:
    texts = {field.name: setting_of(TrainPlan, field.name).doc for field in fields(TrainPlan)}
    assert all(f'stage {name}' in text for name, text in texts.items()), texts
