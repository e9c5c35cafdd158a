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
from viva_ros.model import checkpoint
from viva_ros.model.config import preset
from viva_ros.training import run as module
from viva_ros.training.cache import Data
from viva_ros.training.config import TrainConfig, TrainPlan, plan
from viva_ros.training.run import train_on
from viva_ros.training.trainer import TrainStage

LENGTHS = {'vae': 4, 'video': 4, 'viva': 4, 'proprio': 4}
BLANK = preset('tiny', ('head', 'left_wrist', 'right_wrist'),
               ('left_waist', 'left_gripper', 'right_waist'), ())  # fmt: skip


def run_in(folder: Path, **changes: object) -> TrainConfig:
    return replace(
        TrainConfig((folder,), folder, 'tiny', 0, plan(4, LENGTHS), folder / 'c'), **changes
    )


def test_train_command_writes_checkpoint_and_baseline(tmp_path: Path) -> None:
    for seed in range(1, 5):
        write_slide(tmp_path / 'r', slide_episode(seed))
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
    assert checkpoint.read_description(out / 'proprio')['kind'] == 'proprio'
    described = json.loads((out / 'run.json').read_text())
    assert described['validation'] == ['episode_000003']
    stages = {json.loads(line)['stage'] for line in (out / 'curve.jsonl').read_text().splitlines()}
    assert stages == set(LENGTHS)


def test_ranges_and_statistics_are_of_the_training_part(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn, hold = make_slide_data(range(1, 3)), make_slide_data(range(5, 6), 'validation')
    wild = replace(hold, proprio=hold.proprio * 100, future=hold.future * 100)
    model = train_on(run_in(tmp_path / 'run'), learn, wild, BLANK)
    assert max(model.ranges.high) <= 1.0
    raw = np.load(tmp_path / 'run' / 'latents_train.npy').astype(np.float64)
    mean = torch.from_numpy(raw.mean(axis=(0, 1, 3, 4)))
    torch.testing.assert_close(model.latents_mean.double(), mean, atol=1e-5, rtol=0)


def test_resumed_run_has_the_same_weights(
    tmp_path: Path, make_slide_data: Callable[..., Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, hold = make_slide_data(range(1, 3)), make_slide_data(range(5, 6), 'validation')
    train_on(run_in(tmp_path / 'whole'), learn, hold, BLANK)

    class StoppedError(Exception):
        pass

    def stop_in_viva(self: TrainStage, until: int | None = None) -> None:
        run(self, 2 if self.name == 'viva' else until)
        if self.name == 'viva':
            raise StoppedError

    run = TrainStage.run
    monkeypatch.setattr(module.TrainStage, 'run', stop_in_viva)
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


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_value_of_failures_is_learnt_from_images_alone(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn, hold = make_slide_data(range(1, 13)), make_slide_data(range(20, 26), 'validation')
    lengths = {'vae': 300, 'video': 20, 'viva': 600, 'proprio': 50}
    train_on(run_in(tmp_path / 'run', plan=plan(12, lengths)), learn, hold, BLANK)
    figures = checkpoint.read(tmp_path / 'run' / 'checkpoint').provenance['held_out']
    blind = checkpoint.read_description(tmp_path / 'run' / 'proprio')['provenance']['held_out']
    assert figures['auroc'] > 0.8  # with fewer steps some processors gave 0
    assert figures['spearman'] > 0.8
    assert blind['auroc'] == 0.5  # the joints of successes and failures are the same


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
