# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Load a random snapshot that was written by diffusers and transformers."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from support.errors import raises
from support.snapshot_changes import change_json, change_map, change_weights, place_of

from viva_ros.core.errors import ConfigurationError, EngineError
from viva_ros.core.normalize import JointRanges
from viva_ros.model import pretrained
from viva_ros.model.config import TINY, ViVaConfig, preset
from viva_ros.model.text import Embeddings
from viva_ros.model.viva import ViVa

JOINTS = tuple(f'joint_{k}' for k in range(14))
RANGES = JointRanges(JOINTS, (-1.0,) * 14, (1.0,) * 14)
CONFIG = preset('wan2.2-tiny', ('left_wrist', 'right_wrist', 'head'), JOINTS, ('lift', 'pass'))
EMBEDDINGS = Embeddings(
    ('pass', 'lift'), ('Pass it.', 'Lift it.'), (3, 4), 'abcd',
    torch.arange(2.0)[:, None, None] * torch.ones(2, 512, 16),
)  # fmt: skip


@pytest.fixture
def folder(snapshot: Path, tmp_path: Path) -> Path:
    """Return a copy that a test can change."""
    return Path(shutil.copytree(snapshot, tmp_path / 'snapshot'))


@pytest.fixture(scope='module')
def model(snapshot: Path) -> ViVa:
    """Return the model of the snapshot; tests do not change it."""
    return load(snapshot)


def load(folder: Path, config: ViVaConfig = CONFIG, **more: object) -> ViVa:
    return pretrained.load(folder, config, RANGES, EMBEDDINGS, **more)


def test_transformer_weights_equal_diffusers(snapshot: Path, model: ViVa) -> None:
    theirs = WanTransformer3DModel.from_pretrained(snapshot / 'transformer').state_dict()
    ours = model.transformer.state_dict()
    assert set(ours) == set(theirs)
    for name, weight in theirs.items():
        assert torch.equal(ours[name], weight), name
    assert len(list((snapshot / 'transformer').glob('*-of-*.safetensors'))) > 1


def test_transformer_output_equals_diffusers(snapshot: Path, model: ViVa) -> None:
    theirs = WanTransformer3DModel.from_pretrained(snapshot / 'transformer')
    generator = torch.Generator().manual_seed(1)
    video = torch.randn(1, 48, 7, 4, 2, generator=generator)
    text = torch.randn(1, 512, 16, generator=generator)
    time = torch.tensor([700.0])
    with torch.inference_mode():
        given = model.transformer(video, time, text).sample
        expected = theirs(video, time, text).sample
    torch.testing.assert_close(given, expected, atol=1e-6, rtol=1e-5)
    assert torch.equal(model.transformer.rope.freqs_cos, theirs.rope.freqs_cos)
    assert torch.equal(model.transformer.rope.freqs_sin, theirs.rope.freqs_sin)


def test_single_frame_vae_equals_diffusers(snapshot: Path, model: ViVa) -> None:
    theirs = AutoencoderKLWan.from_pretrained(snapshot / 'vae').eval()
    images = torch.randint(0, 256, (1, 3, 64, 32, 3), generator=torch.Generator().manual_seed(2))
    mean = torch.tensor(theirs.config.latents_mean).view(1, -1, 1, 1, 1)
    std = torch.tensor(theirs.config.latents_std).view(1, -1, 1, 1, 1)
    with torch.inference_mode():
        latents = model.encode(images.byte())[0]
        pixels = (images[0].permute(0, 3, 1, 2) / 127.5 - 1)[:, :, None]
        expected = (theirs.encode(pixels).latent_dist.mode() - mean) / std
        torch.testing.assert_close(latents, expected[:, :, 0], atol=1e-5, rtol=1e-5)
        decoded = theirs.decode(expected * std + mean).sample[:, :, 0].clamp(-1, 1)
        torch.testing.assert_close(model.decode(latents), decoded, atol=1e-5, rtol=1e-5)


def test_tasks_get_embeddings_by_name(model: ViVa) -> None:
    assert model.text[:, 0, 0].tolist() == [1.0, 0.0]  # lift, pass
    assert model.config.texts == ('Lift it.', 'Pass it.')
    assert model.config.text_encoder == 'abcd'


def test_bfloat16_keeps_float32_of_the_same_parts_as_diffusers(
    snapshot: Path, model: ViVa
) -> None:
    half = load(snapshot, dtype=torch.bfloat16)
    theirs = WanTransformer3DModel.from_pretrained(
        snapshot / 'transformer', torch_dtype=torch.bfloat16
    )
    kinds = {name: weight.dtype for name, weight in half.transformer.state_dict().items()}
    assert kinds == {name: weight.dtype for name, weight in theirs.state_dict().items()}
    assert set(kinds.values()) == {torch.float32, torch.bfloat16}
    assert {weight.dtype for weight in half.vae.parameters()} == {torch.float32}
    images, task = torch.zeros(1, 3, 64, 32, 3).byte(), torch.zeros(1).long()
    # oneDNN's bfloat16 convolution of 48 channels gives NaN at times on a processor with AMX.
    with torch.inference_mode(), torch.backends.mkldnn.flags(enabled=False):
        given = half(images, torch.zeros(1, 14), task)[0]
        exact = model(images, torch.zeros(1, 14), task)[0]
    assert given.dtype == torch.float32
    torch.testing.assert_close(given, exact, atol=0.02, rtol=0)


def test_all_weights_have_memory_and_are_trainable(model: ViVa) -> None:
    assert not [n for n, t in [*model.named_parameters(), *model.named_buffers()] if t.is_meta]
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_watch_gets_each_weight_name(snapshot: Path) -> None:
    watched: list[str] = []

    def watch(names: list[str]) -> list[str]:
        watched.extend(names)
        return names

    model = load(snapshot, watch=watch)
    parts = ('transformer.', 'vae.')
    assert set(watched) == {name for name in model.state_dict() if name.startswith(parts)}


def test_missing_embeddings_are_refused_with_remedy(snapshot: Path) -> None:
    with raises('embeddings-missing', 'wan2.2-tiny', 'viva embed', of=ConfigurationError):
        pretrained.load(snapshot, CONFIG, RANGES)
    with raises('task-embedding-missing', "['fold']", '--task "fold"', of=ConfigurationError):
        load(snapshot, replace(CONFIG, tasks=('lift', 'fold')))


def test_embeddings_of_other_size_are_refused(snapshot: Path) -> None:
    narrow = replace(EMBEDDINGS, rows=EMBEDDINGS.rows[..., :8])
    with raises('embeddings-size', '(512, 8)', '(512, 16)', of=ConfigurationError):
        pretrained.load(snapshot, CONFIG, RANGES, narrow)


def test_other_sizes_are_refused_with_each_value(snapshot: Path) -> None:
    size = replace(CONFIG.transformer, num_layers=3, ffn_dim=50)
    with raises('wan-config-value', 'ffn_dim is 48, must be 50', 'num_layers is 2, must be 3'):
        load(snapshot, replace(CONFIG, transformer=size))
    with raises('wan-config-value', 'vae/config.json', 'base_dim is 8, must be 16'):
        load(snapshot, replace(CONFIG, vae=replace(CONFIG.vae, base_dim=16)))


TRANSFORMER, VAE = 'transformer/config.json', 'vae/config.json'
INDEX, SCHEDULER = 'model_index.json', 'scheduler/scheduler_config.json'


@pytest.mark.parametrize(('file', 'changes', 'code', 'named'), [
    (TRANSFORMER, {'eps': 1e-5}, 'wan-config-value', 'eps is 1e-05, must be 1e-06'),
    (TRANSFORMER, {'image_dim': 1280}, 'wan-config-value', 'image_dim is 1280, must be None'),
    (TRANSFORMER, {'fps': 3}, 'wan-config-unknown', "['fps']"),
    (TRANSFORMER, {'_class_name': 'X'}, 'wan-class', "'X', must be WanTransformer3DModel"),
    (VAE, {'is_residual': False}, 'wan-config-value', 'is_residual is False, must be True'),
    (VAE, {'latents_mean': [0.0] * 16}, 'wan-statistics-count', '16 numbers, must have 48'),
    (VAE, {'latents_std': [1.0] * 48}, 'wan-config-value', 'latents_std is'),
    (VAE, {'clip_output': True}, 'wan-config-unknown', "['clip_output']"),
    (INDEX, {'vae': ['diffusers', 'AutoencoderKL']}, 'wan-part', 'must be AutoencoderKLWan'),
    (INDEX, {'transformer_2': ['diffusers', 'W']}, 'wan-two-transformers', 'A14B'),
    (SCHEDULER, {'prediction_type': 'epsilon'}, 'wan-scheduler', "'epsilon', must be"),
])  # fmt: skip
def test_mismatched_json_file_is_refused(
    folder: Path, file: str, changes: dict[str, object], code: str, named: str
) -> None:
    change_json(folder / file, **changes)
    with raises(code, folder / file, named, of=EngineError):
        load(folder)


def test_unused_setting_of_published_vae_is_accepted(folder: Path) -> None:
    change_json(folder / 'vae' / 'config.json', clip_output=False)
    load(folder)


def test_per_token_times_need_expand_timesteps(folder: Path) -> None:
    load(folder, replace(CONFIG, per_token_times=True))
    change_json(folder / 'model_index.json', expand_timesteps=False)
    load(folder)
    with raises('wan-expand-timesteps', folder / INDEX, 'False, must be true', 'per_token_times'):
        load(folder, replace(CONFIG, per_token_times=True))


def test_missing_and_unexpected_shard_weights_are_named(folder: Path) -> None:
    name = 'blocks.1.attn1.to_q.bias'
    shard = place_of(folder / 'transformer', name)
    change_weights(shard, lambda state: state.update(odd=state.pop(name)))
    with raises('wan-weights-names', shard, f"['{name}']", "['odd']", 'index.json'):
        load(folder)  # the index and the shard differ
    change_map(folder / 'transformer', lambda places: places.update(odd=places.pop(name)))
    with raises('wan-weights-names', f"index.json lacks ['{name}']", "['odd']"):
        load(folder)  # the index and the shard differ from the model


def test_weight_of_other_shape_is_named_with_both_shapes(folder: Path) -> None:
    shard = place_of(folder / 'transformer', 'proj_out.bias')
    change_weights(shard, lambda state: state.update({'proj_out.bias': torch.zeros(7)}))
    with raises('wan-weights-shapes', 'proj_out.bias (7,), must be (192,)'):
        load(folder)


def test_missing_temporal_weight_of_vae_is_named(
    folder: Path,
) -> None:
    name = 'encoder.down_blocks.1.downsampler.time_conv.bias'
    path = folder / 'vae' / 'diffusion_pytorch_model.safetensors'
    change_weights(path, lambda state: state.pop(name))
    with raises('wan-weights-names', path, name):
        load(folder)


@pytest.mark.parametrize(('value', 'code', 'named'), [
    (torch.full((192,), torch.inf), 'wan-weights-not-finite', 'fetch'),
    (torch.zeros(192, dtype=torch.int8), 'wan-weights-dtype', 'torch.int8, must be float32'),
    (torch.zeros(192).to(torch.float8_e4m3fn), 'wan-weights-dtype', 'torch.float8_e4m3fn'),
], ids=['inf', 'int8', 'float8'])  # fmt: skip
def test_weights_of_invalid_numbers_are_refused(
    folder: Path, value: torch.Tensor, code: str, named: str
) -> None:
    shard = place_of(folder / 'transformer', 'proj_out.bias')
    change_weights(shard, lambda state: state.update({'proj_out.bias': value}))
    with raises(code, 'proj_out.bias', named):
        load(folder)


def test_missing_shard_is_named(folder: Path) -> None:
    shard = place_of(folder / 'transformer', 'proj_out.bias')
    shard.unlink()
    with raises('wan-shard-missing', shard, 'fetch'):
        load(folder)


@pytest.mark.parametrize('kept', [5000, 100, 4, 0])
def test_truncated_shard_is_named(folder: Path, kept: int) -> None:
    shard = place_of(folder / 'transformer', 'proj_out.bias')
    shard.write_bytes(shard.read_bytes()[:kept])
    with raises('wan-shard-invalid', shard, 'fetch'):
        load(folder)


def test_git_lfs_pointer_is_refused_with_command(folder: Path) -> None:
    path = folder / 'vae' / 'diffusion_pytorch_model.safetensors'
    path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n')
    with raises('wan-git-lfs', path, "'git lfs pull'"):
        load(folder)


@pytest.mark.parametrize(('content', 'code', 'named'), [
    ('{', 'wan-index-invalid', 'fetch'), ('[]', 'wan-index-invalid', 'fetch'),
    ('{"weight_map": []}', 'wan-index-invalid', 'fetch'),
    ('{"weight_map": {"a": "../b.safetensors"}}', 'wan-index-path', '../b.safetensors'),
])  # fmt: skip
def test_invalid_index_is_refused(folder: Path, content: str, code: str, named: str) -> None:
    path = folder / 'transformer' / 'diffusion_pytorch_model.safetensors.index.json'
    path.write_text(content)
    with raises(code, path, named):
        load(folder)


def test_folder_without_model_index_is_refused(tmp_path: Path) -> None:
    with raises('wan-json-unreadable', tmp_path / INDEX, 'fetch'):
        load(tmp_path)


def test_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / 'vae' / 'diffusion_pytorch_model.safetensors').unlink()
    with raises('wan-weights-missing', folder / 'vae', 'diffusion_pytorch_model.safetensors'):
        load(folder)


def test_hash_model_refuses_embeddings(snapshot: Path) -> None:
    config = replace(CONFIG, text='hash')
    with raises('embeddings-unused', 'wan2.2-tiny', of=ConfigurationError):
        load(snapshot, config)
    model = pretrained.load(snapshot, config, RANGES)
    assert model.text.shape == (2, 512, 16)


def test_latent_std_of_zero_is_refused(folder: Path) -> None:
    bare = replace(CONFIG, vae=replace(CONFIG.vae, latents_mean=(), latents_std=()))
    change_json(folder / VAE, latents_std=[0.0] * 48)
    with raises('wan-statistics-sign', folder / VAE, 'latents_std', 'fetch', of=EngineError):
        load(folder, bare)


def test_latent_statistics_default_to_those_of_the_folder(
    snapshot: Path,
) -> None:
    bare = replace(CONFIG, vae=replace(CONFIG.vae, latents_mean=(), latents_std=()))
    model = load(snapshot, bare)
    assert model.config.vae.latents_mean == CONFIG.vae.latents_mean
    assert model.latents_std[0] == pytest.approx(0.4765)
    assert TINY.vae.latents_mean == ()
