# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.errors import raises
from support.slides import slide_episode, write_slide

from viva_ros.cli.train import main
from viva_ros.engine.manifest import trained_episodes
from viva_ros.model import checkpoint
from viva_ros.model.config import preset
from viva_ros.model.viva import ViVa
from viva_ros.training import losses
from viva_ros.training.augmentation import AugmentSettings
from viva_ros.training.cache import Data
from viva_ros.training.config import TrainConfig, TrainPlan, plan
from viva_ros.training.run import train_on
from viva_ros.training.trainer import TrainStage

STILL = AugmentSettings(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
LENGTHS = {'vae': 4, 'video': 4, 'viva': 4, 'proprio': 4}
BLANK = preset('tiny', ('head', 'left_wrist', 'right_wrist'),
               ('left_waist', 'left_gripper', 'right_waist'), ())  # fmt: skip


def run_in(folder: Path, **changes: object) -> TrainConfig:
    return replace(
        TrainConfig((folder,), folder, 'tiny', 0, plan(4, LENGTHS), folder / 'c'), **changes
    )


def test_train_command_writes_checkpoint_and_baseline(tmp_path: Path) -> None:
    episodes = {seed: slide_episode(seed, frames=11 + seed) for seed in range(1, 5)}
    for episode in episodes.values():
        write_slide(tmp_path / 'r', episode)
    names = [f'episode_{seed:06d}.mcap' for seed in range(1, 5)]
    parts = {'train': names[:2], 'validation': names[2:3], 'test': names[3:]}
    (tmp_path / 'r' / 'split.json').write_text(json.dumps(parts))
    lengths = [part for name in LENGTHS for part in (f'--{name}-steps', '3')]
    out = tmp_path / 'run'
    arguments = ['--recordings', str(tmp_path / 'r'), '--out', str(out), '--preset', 'tiny']
    assert main([*arguments, '--batch', '2', *lengths]) == 0
    read = checkpoint.read(out / 'checkpoint')
    assert read.model.config.tasks == ('slide',)
    assert read.model.config.joint_names == BLANK.joint_names
    assert read.provenance['episode_seeds'] == [1, 2]
    assert set(read.provenance['held_out']) == {'value_error', 'forecast_error'}  # one failure
    content = checkpoint.read_description(out / 'proprio')
    assert content['kind'] == 'proprio'
    marks = {seed: episode.identity for seed, episode in episodes.items()}
    identities = {'train': sorted([marks[1], marks[2]]), 'validation': [marks[3]]}
    for provenance in (read.provenance, content['provenance']):
        assert provenance['episode_identities'] == identities
    assert trained_episodes(out / 'checkpoint') == {marks[1], marks[2], marks[3]}
    described = json.loads((out / 'run.json').read_text())
    assert described['validation'] == ['episode_000003']
    stages = {json.loads(line)['stage'] for line in (out / 'curve.jsonl').read_text().splitlines()}
    assert stages == set(LENGTHS)


def test_ranges_and_statistics_are_of_the_training_part(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn, hold = make_slide_data(range(1, 3)), make_slide_data(range(5, 6))
    wild = replace(hold, proprio=hold.proprio * 100, future=hold.future * 100)
    model = train_on(run_in(tmp_path / 'run'), learn, wild, BLANK)
    assert max(model.ranges.high) <= 1.0
    raw = np.load(tmp_path / 'run' / 'latents_train.npy').astype(np.float64)
    mean = torch.from_numpy(raw.mean(axis=(0, 1, 3, 4)))
    torch.testing.assert_close(model.latents_mean.double(), mean, atol=1e-5, rtol=0)


def test_resumed_run_has_the_same_weights(
    tmp_path: Path, make_slide_data: Callable[..., Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, hold = make_slide_data(range(1, 3)), make_slide_data(range(5, 6))
    train_on(run_in(tmp_path / 'whole'), learn, hold, BLANK)

    class StoppedError(Exception):
        pass

    def stop_in_viva(self: TrainStage, until: int | None = None) -> None:
        run(self, 2 if self.name == 'viva' else until)
        if self.name == 'viva':
            raise StoppedError

    run = TrainStage.run
    monkeypatch.setattr(TrainStage, 'run', stop_in_viva)
    with pytest.raises(StoppedError):
        train_on(run_in(tmp_path / 'parts'), learn, hold, BLANK)
    monkeypatch.undo()
    torch.manual_seed(99)  # the state of the global generator must not matter
    train_on(run_in(tmp_path / 'parts'), learn, hold, BLANK)
    for name in ('checkpoint', 'proprio'):
        whole, parts = (load_file(tmp_path / which / name / 'model.safetensors')
                        for which in ('whole', 'parts'))  # fmt: skip
        for key, weight in whole.items():
            assert torch.equal(weight, parts[key]), f'{name}: {key}'


def with_white_failures(data: Data) -> Data:
    """Make the views of failed episodes white from the middle of the episode on."""
    images = np.array(data.images)
    images[~data.success & (data.stamps >= 600_000_000)] = 255
    return replace(data, images=images)


def final_gap(model: ViVa, data: Data) -> float:
    """Return the mean final value of successes minus that of failures; 1 for a perfect model."""
    labels = losses.Labels.of(data, model, model.config.tasks)
    values, _ = losses.predict(model, losses.encode_all(model, data), labels)
    final = np.append(np.diff(data.episode) != 0, True)
    return float(values[final & data.success].mean() - values[final & ~data.success].mean())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_value_of_failures_is_learnt_from_images_alone(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn = with_white_failures(make_slide_data(range(1, 13)))
    hold = with_white_failures(make_slide_data(range(20, 26)))  # 2 of 6 fail
    schedules = plan(48, {'vae': 60, 'video': 0, 'viva': 200, 'proprio': 50})
    schedules = replace(schedules, vae=replace(schedules.vae, batch=12),
                        viva=replace(schedules.viva, rate=6e-3))  # fmt: skip
    gaps, orders, blind = [], [], []
    for seed in range(3):  # judged together: one seed may fail on some build of torch
        out = tmp_path / str(seed)
        run = run_in(out, seed=seed, plan=schedules, augment=STILL)
        gaps.append(final_gap(train_on(run, learn, hold, BLANK), hold))
        orders.append(checkpoint.read(out / 'checkpoint').provenance['held_out']['spearman'])
        baseline = checkpoint.read_description(out / 'proprio')['provenance']['held_out']
        blind.append(baseline['value_error'])
    assert np.median(gaps) > 0.4, gaps  # 0.87 to 1.01 measured; 0 without images
    assert np.median(orders) > 0.8, orders
    # Values of failures are lower by 1, joints are the same: no function of joints errs less.
    assert min(blind) > 1 / 3 - 1e-4, blind


def test_shorter_schedule_has_a_shorter_warm_up() -> None:
    assert plan(None, LENGTHS).vae.warm_up == 1
    assert plan(None, {**LENGTHS, 'vae': 5000}).vae.warm_up == TrainPlan().vae.warm_up
    assert plan(7, LENGTHS).viva.batch == 7
    assert plan(None, LENGTHS).viva.batch == TrainPlan().viva.batch


def test_negative_length_or_batch_is_refused() -> None:
    with raises('setting-out-of-range', 'video steps is -1', 'at least 0'):
        plan(None, {**LENGTHS, 'video': -1})
    with raises('setting-out-of-range', 'vae batch is -1', 'at least 1'):
        plan(-1, LENGTHS)
