# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Variants of the last stage in a whole run on a few moments."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.errors import raises
from torch import Tensor

from viva_ros.cli.train import parse, run_of
from viva_ros.model import checkpoint
from viva_ros.model.config import preset
from viva_ros.model.early_exit import EarlyExit
from viva_ros.training.cache import Data
from viva_ros.training.config import TrainConfig, plan
from viva_ros.training.distributed import Hardware
from viva_ros.training.run import train_on

LENGTHS = {'vae': 3, 'video': 3, 'viva': 4, 'head': 4, 'proprio': 0}
BLANK = preset('tiny', ('head', 'left_wrist', 'right_wrist'),
               ('left_waist', 'left_gripper', 'right_waist'), ())  # fmt: skip
BASICS = ('--recordings', 'r', '--out', 'o')


def run_in(folder: Path, **changes: object) -> TrainConfig:
    run = TrainConfig((folder,), folder, 'tiny', 0, plan(4, LENGTHS), folder / 'c')
    return replace(run, **changes)  # type: ignore[arg-type]


def weights_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / 'checkpoint' / 'model.safetensors')


def test_head_is_trained_on_frozen_blocks_of_the_video_stage(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn, hold = make_slide_data(range(1, 4)), make_slide_data(range(5, 7))
    run = run_in(tmp_path / 'run', head=1)
    made = train_on(run, learn, hold, BLANK)
    assert isinstance(made, EarlyExit)
    read = checkpoint.read(tmp_path / 'run' / 'checkpoint')
    assert isinstance(read.model, EarlyExit)
    assert set(read.provenance['held_out']) == {
        'value_error', 'forecast_error', 'spearman', 'auroc',
    }  # fmt: skip
    trunk = load_file(tmp_path / 'run' / 'video.state')
    blocks = {k for k in trunk if k.startswith('average/blocks.0.')}
    written = weights_of(tmp_path / 'run')
    assert blocks
    for key in blocks:
        assert torch.equal(written[f'viva.transformer.{key[len("average/") :]}'], trunk[key])
    state = load_file(tmp_path / 'run' / 'head.state')
    assert {key.split('/')[1].split('.')[0] for key in state if '/' in key} == {'proprio', 'value'}
    assert not (tmp_path / 'run' / 'proprio').exists()  # its length is 0


def test_adapters_are_written_and_merged_into_the_checkpoint(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn = make_slide_data(range(1, 4))
    run = run_in(tmp_path / 'run', lora=2, hardware=Hardware('cpu', accumulate=2))
    train_on(run, learn, None, BLANK)
    begun = load_file(tmp_path / 'run' / 'video.state')
    written = weights_of(tmp_path / 'run')
    beside = tmp_path / 'run' / 'checkpoint' / 'adapter'
    adapter = load_file(beside / 'adapter_model.safetensors')
    name = 'blocks.1.ffn.net.2'
    change = adapter[f'{name}.lora_B.weight'] @ adapter[f'{name}.lora_A.weight']  # alpha = rank
    assert float(change.abs().max()) > 0
    torch.testing.assert_close(
        written[f'transformer.{name}.weight'], begun[f'average/{name}.weight'] + change
    )
    frozen = 'patch_embedding.weight'
    assert torch.equal(written[f'transformer.{frozen}'], begun[f'average/{frozen}'])
    assert json.loads((beside / 'adapter_config.json').read_text())['r'] == 2


def test_targets_tasks_and_checkpointing_reach_the_model(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn = make_slide_data(range(1, 3))
    targets = ('proprio', 'images', 'value', 'success')
    plain = run_in(tmp_path / 'plain', targets=targets)
    lean = replace(plain, out=tmp_path / 'lean', hardware=Hardware('cpu', checkpointing=True))
    for run in (plain, lean):
        model = train_on(run, learn, None, BLANK)
        assert model.config.targets == targets
        assert model.config.tasks == ('slide',)
    for name, weight in weights_of(plain.out).items():
        torch.testing.assert_close(weights_of(lean.out)[name], weight, msg=name)


def test_validation_episodes_change_no_range_and_no_weight(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn, hold = make_slide_data(range(1, 3)), make_slide_data(range(5, 7))
    wild = replace(hold, proprio=hold.proprio * 100, future=hold.future - 7,
                   images=255 - np.asarray(hold.images))  # fmt: skip
    for name, held in (('tame', hold), ('wild', wild), ('none', None)):
        train_on(run_in(tmp_path / name), learn, held, BLANK)
    reference = weights_of(tmp_path / 'none')
    ranges = checkpoint.read_description(tmp_path / 'none' / 'checkpoint')['ranges']
    for name in ('tame', 'wild'):
        assert checkpoint.read_description(tmp_path / name / 'checkpoint')['ranges'] == ranges
        for key, weight in weights_of(tmp_path / name).items():
            assert torch.equal(weight, reference[key]), f'{name}: {key}'


@pytest.mark.parametrize(
    ('options', 'code', 'named'),
    [
        ('--threads 0', 'setting-out-of-range', ('threads is 0', 'at least 1')),
        ('--lora -1', 'setting-out-of-range', ('lora is -1', 'at least 0')),
        ('--accumulate 0', 'setting-out-of-range', ('accumulate is 0', 'at least 1')),
        ('--batch 0', 'setting-out-of-range', ('vae batch is 0', 'at least 1')),
        ('--lora 8 --head 2', 'lora-with-head', ('lora is 8', 'head is 2')),
        ('--lora 4 --shard', 'shard-with-frozen-weights', ('--shard', '--lora', '--head')),
        ('--targets proprio', 'targets-invalid', ('is proprio', 'proprio,images,value,success')),
        ('--targets value,speed', 'targets-invalid', ('is value,speed', 'with value')),
        ('--vae-steps 0', 'vae-missing', ('preset small', '--backbone DIR', '--vae-steps')),
        ('--preset wan2.2-5b', 'vae-missing', ('preset wan2.2-5b',)),
    ],
)
def test_invalid_option_is_refused(options: str, code: str, named: tuple[str, ...]) -> None:
    with raises(code, *named):
        run_of(parse([*BASICS, *options.split()]))


def test_file_as_run_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'run').write_text('')
    given = ['--recordings', 'recordings', '--out', str(tmp_path / 'run')]
    with raises('train-output-file', '--out', tmp_path / 'run', 'folder'):
        run_of(parse(given))


def test_head_that_does_not_fit_the_model_is_refused(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    with raises('head-too-deep', 'head is 9', 'at most 2', 'preset tiny'):
        train_on(run_in(tmp_path, head=9), make_slide_data(range(1, 2)), None, BLANK)
    with raises('head-with-images', 'targets', 'images'):
        run = run_in(tmp_path, head=1, targets=('images', 'value'))
        train_on(run, make_slide_data(range(1, 2)), None, BLANK)


def test_command_line_sets_lengths_and_keeps_the_schedules() -> None:
    run = run_of(parse([
        '--recordings', 'recordings', '--out', 'runs/x', '--cache', 'runs/cache', '--preset',
        'small', '--threads', '2', '--vae-steps', '900', '--video-steps', '1500',
        '--viva-steps', '3000',
    ]))  # fmt: skip
    assert (run.recordings, run.out, run.cache) == (
        (Path('recordings'),), Path('runs/x'), Path('runs/cache'),
    )  # fmt: skip
    schedules = (run.plan.vae, run.plan.video, run.plan.viva, run.plan.proprio)
    stages = [(s.steps, s.batch, s.rate, s.warm_up, s.average, s.lowest) for s in schedules]
    assert stages == [
        (900, 16, 2e-3, 100, 0.998, 0.05), (1500, 32, 1e-3, 200, 0.998, 0.05),
        (3000, 32, 1e-3, 200, 0.998, 0.05), (4000, 256, 1e-3, 200, 0.998, 0.05),
    ]  # fmt: skip
    assert (run.threads, run.seed, run.lora, run.head) == (2, 0, 0, 0)
    assert run.hardware == Hardware()


def test_options_reach_the_run() -> None:
    run = run_of(parse([
        *BASICS, '--cameras', 'head', 'chest', '--tasks', 'lift', '--targets', 'success,value',
        '--precision', 'bf16', '--accumulate', '4', '--checkpointing', '--device', 'cpu',
        '--backbone', 'wan', '--embeddings', 'texts', '--lora', '16',
    ]))  # fmt: skip
    assert (run.cameras, run.tasks) == (('head', 'chest'), ('lift',))
    assert run.targets == ('value', 'success')  # in the order of the frames
    assert run.hardware == Hardware('cpu', 'bf16', 4, checkpointing=True)
    assert (run.backbone, run.embeddings, run.lora) == (Path('wan'), Path('texts'), 16)
    assert (run.plan.vae.steps, run.plan.video.steps) == (0, 0)  # the backbone replaces them
