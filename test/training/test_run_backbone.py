# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From published weights and recordings to an engine, by the commands."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.errors import raises
from support.slides import slide_episode, write_slide

from viva_ros.cli import embed, export, train
from viva_ros.core.normalize import JointRanges
from viva_ros.core.observation import Observation
from viva_ros.engine.factory import load
from viva_ros.model import checkpoint
from viva_ros.model.config import WAN_5B, preset
from viva_ros.training.config import TrainConfig, TrainPlan
from viva_ros.training.distributed import Hardware
from viva_ros.training.run import first_model

TASKS = ('push', 'slide')
RELEASED = ('left_wrist', 'right_wrist', 'head')


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Write four episodes, two of each task."""
    for seed in range(1, 5):
        episode = slide_episode(seed)
        task = TASKS[seed % 2]
        write_slide(tmp_path / 'r', replace(episode, label=replace(episode.label, task=task)))
    return tmp_path / 'r'


@pytest.fixture
def texts(tmp_path: Path, snapshot: Path) -> Path:
    """Embed the texts of both tasks."""
    out = tmp_path / 'texts.safetensors'
    embed.main(['Push it.', 'Slide it &amp; stop.', '--task', *TASKS,
                '--snapshot', str(snapshot), '--out', str(out)])  # fmt: skip
    return out


def published(snapshot: Path) -> dict[str, torch.Tensor]:
    """Return the weights of the snapshot's transformer, as diffusers wrote them."""
    shards = (snapshot / 'transformer').glob('*.safetensors')
    return {name: weight for shard in shards for name, weight in load_file(shard).items()}


def arguments(recordings: Path, out: Path, *more: object) -> list[str]:
    given = ('--recordings', recordings, '--out', out, '--preset', 'wan2.2-tiny', '--batch', 2,
             '--cameras', *RELEASED, '--viva-steps', 1, '--proprio-steps', 0, *more)  # fmt: skip
    return [str(part) for part in given]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_backbone_is_trained_exported_and_estimates_by_task(
    tmp_path: Path, snapshot: Path, recordings: Path, texts: Path
) -> None:
    run, engine = tmp_path / 'run', tmp_path / 'engine'
    more = ('--backbone', snapshot, '--embeddings', texts)
    assert train.main(arguments(recordings, run, *more)) == 0
    model = checkpoint.read(run / 'checkpoint').model
    assert model.config.cameras == RELEASED == WAN_5B.cameras
    assert model.config.tasks == TASKS
    assert model.config.texts == ('Push it.', 'Slide it & stop.')
    rows = load_file(texts)['text']
    assert torch.equal(model.text, rows.float())
    vae = load_file(snapshot / 'vae' / 'diffusion_pytorch_model.safetensors')
    kept = vae['encoder.conv_in.weight'][:, :, -1]
    assert torch.equal(model.vae.encoder.conv_in.weight, kept)  # the VAE is not trained
    began, now = published(snapshot), model.transformer.state_dict()
    moved = max(float((now[name] - weight).abs().max()) for name, weight in began.items())
    assert 0 < moved < 1e-4  # one step at a rate of 4e-5

    command = [str(run / 'checkpoint'), '--out', str(engine), '--recordings', str(recordings)]
    assert export.main(command) == 0
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
              for name in ('head', 'left_wrist', 'right_wrist')}  # fmt: skip
    joints = dict.fromkeys(model.config.joint_names, 0.5)
    seen = Observation(images, joints, {'head': 0})
    forecasts = {}
    for task in TASKS:
        onnx, pytorch = (load(engine, task, kind).estimate(seen) for kind in ('onnx', 'pytorch'))
        assert onnx.value == pytest.approx(pytorch.value, abs=1e-4)
        assert onnx.forecast == pytest.approx(pytorch.forecast, abs=1e-4)
        forecasts[task] = onnx.forecast
    assert forecasts['push'] != pytest.approx(forecasts['slide'], abs=1e-6)
    with raises('task-unknown', 'fold', "'push', 'slide'"):
        load(engine, 'fold', 'onnx')


def test_text_preset_without_embeddings_is_refused(
    tmp_path: Path, snapshot: Path, recordings: Path
) -> None:
    with raises('embeddings-missing', 'wan2.2-tiny', 'viva embed "TEXT" --task "push"'):
        train.main(arguments(recordings, tmp_path / 'run', '--backbone', snapshot))


@pytest.mark.parametrize(('lora', 'head', 'precision', 'expected'), [
    (0, 0, 'fp32', torch.float32), (0, 0, 'bf16', torch.float32),
    (2, 0, 'fp32', torch.float32), (2, 0, 'bf16', torch.bfloat16),
    (0, 1, 'bf16', torch.bfloat16),
])  # fmt: skip
def test_frozen_weights_have_the_precision_of_the_run(
    tmp_path: Path, snapshot: Path, texts: Path, lora: int, head: int, precision: str,
    expected: torch.dtype,
) -> None:  # fmt: skip
    config = preset('wan2.2-tiny', RELEASED, ('a',), TASKS)
    run = TrainConfig(
        (), tmp_path, 'wan2.2-tiny', 0, TrainPlan(), tmp_path, backbone=snapshot, lora=lora,
        embeddings=texts, head=head, hardware=Hardware(precision=precision),
    )  # fmt: skip
    model = first_model(run, config, JointRanges(('a',), (0.0,), (1.0,)))
    assert model.transformer.patch_embedding.weight.dtype == expected
    assert model.transformer.scale_shift_table.dtype == torch.float32


def test_text_embeddings_work_without_a_backbone(tmp_path: Path, texts: Path) -> None:
    config = preset('wan2.2-tiny', RELEASED, ('a',), TASKS)
    run = TrainConfig((), tmp_path, 'wan2.2-tiny', 0, TrainPlan(), tmp_path, embeddings=texts)
    model = first_model(run, config, JointRanges(('a',), (0.0,), (1.0,)))
    assert torch.equal(model.text, load_file(texts)['text'].float())


def test_transformer_stays_without_memory_where_another_process_reads_it(
    tmp_path: Path, snapshot: Path, texts: Path
) -> None:
    config = preset('wan2.2-tiny', RELEASED, ('a',), TASKS)
    run = TrainConfig(
        (), tmp_path, 'wan2.2-tiny', 0, TrainPlan(), tmp_path, backbone=snapshot, embeddings=texts
    )
    whole, without = (
        first_model(run, config, JointRanges(('a',), (0.0,), (1.0,)), has) for has in (True, False)
    )
    assert all(parameter.is_meta for parameter in without.transformer.parameters())
    assert not any(buffer.is_meta for buffer in without.transformer.buffers())
    expected = whole.vae.state_dict()
    for name, weight in without.vae.state_dict().items():
        assert torch.equal(weight, expected[name])
