# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A random snapshot, written by diffusers and transformers, is read by our own code."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from support.snapshot_changes import change_json, change_map, change_weights, place_of

from viva_ros.core.errors import ConfigurationError, EngineError
from viva_ros.core.normalize import JointRanges
from viva_ros.model import pretrained
from viva_ros.model.config import TINY, ViVaConfig, preset
from viva_ros.model.text import Embeddings

JOINTS = tuple(f'joint_{k}' for k in range(14))
RANGES = JointRanges(JOINTS, (-1.0,) * 14, (1.0,) * 14)
CONFIG = preset('wan2.2-tiny', ('left_wrist', 'right_wrist', 'head'), JOINTS, ('lift', 'pass'))
EMBEDDINGS = Embeddings(
    ('pass', 'lift'), ('Pass it.', 'Lift it.'), (3, 4), 'abcd',
    torch.arange(2.0)[:, None, None] * torch.ones(2, 512, 16),
)  # fmt: skip


@pytest.fixture
def folder(snapshot: Path, tmp_path: Path) -> Path:
    """Return a copy that may be spoilt."""
    return Path(shutil.copytree(snapshot, tmp_path / 'snapshot'))


def load(folder: Path, config: ViVaConfig = CONFIG, **more: object) -> pretrained.ViVa:
    return pretrained.load(folder, config, RANGES, EMBEDDINGS, **more)


def test_the_transformer_has_the_weights_that_diffusers_reads(snapshot: Path) -> None:
    model = load(snapshot)
    theirs = WanTransformer3DModel.from_pretrained(snapshot / 'transformer').state_dict()
    ours = model.transformer.state_dict()
    assert set(ours) == set(theirs)
    for name, weight in theirs.items():
        assert torch.equal(ours[name], weight), name
    assert len(list((snapshot / 'transformer').glob('*-of-*.safetensors'))) > 1


def test_the_transformer_gives_what_that_of_diffusers_gives(snapshot: Path) -> None:
    model, theirs = load(snapshot), WanTransformer3DModel.from_pretrained(snapshot / 'transformer')
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


def test_a_single_frame_is_encoded_and_decoded_as_by_diffusers(snapshot: Path) -> None:
    model = load(snapshot)
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


def test_tasks_take_their_embeddings_by_name(snapshot: Path) -> None:
    model = load(snapshot)
    assert model.text[:, 0, 0].tolist() == [1.0, 0.0]  # lift, pass
    assert model.config.texts == ('Lift it.', 'Pass it.')
    assert model.config.text_encoder == 'abcd'


def test_bfloat16_keeps_in_float32_what_diffusers_keeps(snapshot: Path) -> None:
    model = load(snapshot, dtype=torch.bfloat16)
    theirs = WanTransformer3DModel.from_pretrained(
        snapshot / 'transformer', torch_dtype=torch.bfloat16
    )
    kinds = {name: weight.dtype for name, weight in model.transformer.state_dict().items()}
    assert kinds == {name: weight.dtype for name, weight in theirs.state_dict().items()}
    assert set(kinds.values()) == {torch.float32, torch.bfloat16}
    assert {weight.dtype for weight in model.vae.parameters()} == {torch.float32}
    images, task = torch.zeros(1, 3, 64, 32, 3).byte(), torch.zeros(1).long()
    with torch.inference_mode():
        given = model(images, torch.zeros(1, 14), task)[0]
        exact = load(snapshot)(images, torch.zeros(1, 14), task)[0]
    assert given.dtype == torch.float32
    torch.testing.assert_close(given, exact, atol=0.02, rtol=0)


def test_nothing_is_left_without_memory_and_all_is_trainable(snapshot: Path) -> None:
    model = load(snapshot)
    assert not [n for n, t in [*model.named_parameters(), *model.named_buffers()] if t.is_meta]
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_watcher_sees_every_weight_that_is_read(snapshot: Path) -> None:
    seen: list[str] = []

    def watch(names: list[str]) -> list[str]:
        seen.extend(names)
        return names

    model = load(snapshot, watch=watch)
    parts = ('transformer.', 'vae.')
    assert set(seen) == {name for name in model.state_dict() if name.startswith(parts)}


def test_a_model_of_umt5_without_embeddings_names_the_remedy(snapshot: Path) -> None:
    with pytest.raises(ConfigurationError, match=r'none are given: run \'viva embed "TEXT"'):
        pretrained.load(snapshot, CONFIG, RANGES)
    with pytest.raises(ConfigurationError, match=r"tasks \['fold'\] have no embedding"):
        load(snapshot, replace(CONFIG, tasks=('lift', 'fold')))


def test_a_configuration_of_other_numbers_is_refused_with_each_of_them(snapshot: Path) -> None:
    size = replace(CONFIG.transformer, num_layers=3, ffn_dim=50)
    with pytest.raises(EngineError, match=r'ffn_dim is 48, must be 50; num_layers is 2, must be'):
        load(snapshot, replace(CONFIG, transformer=size))
    with pytest.raises(EngineError, match=r'vae/config\.json.*base_dim is 8, must be 16'):
        load(snapshot, replace(CONFIG, vae=replace(CONFIG.vae, base_dim=16)))


@pytest.mark.parametrize(('file', 'changes', 'reason'), [
    ('transformer/config.json', {'eps': 1e-5}, 'eps is 1e-05, must be 1e-06'),
    ('transformer/config.json', {'image_dim': 1280}, 'image_dim is 1280, must be None'),
    ('transformer/config.json', {'fps': 3}, r"has unexpected \['fps'\]"),
    ('transformer/config.json', {'_class_name': 'X'}, "_class_name is 'X', must be WanTransform"),
    ('vae/config.json', {'is_residual': False}, 'is_residual is False, must be True'),
    ('vae/config.json', {'latents_mean': [0.0] * 16}, 'has 16 numbers, must have 48'),
    ('vae/config.json', {'latents_std': [1.0] * 48}, 'latents_std is'),
    ('vae/config.json', {'clip_output': True}, r"has unexpected \['clip_output'\]"),
    ('model_index.json', {'vae': ['diffusers', 'AutoencoderKL']}, 'must be AutoencoderKLWan'),
    ('model_index.json', {'transformer_2': ['diffusers', 'W']}, 'has two transformers'),
    ('scheduler/scheduler_config.json', {'prediction_type': 'epsilon'}, "is 'epsilon', must be"),
])  # fmt: skip
def test_a_json_file_that_does_not_fit_is_refused_by_name(
    folder: Path, file: str, changes: dict[str, object], reason: str
) -> None:
    change_json(folder / file, **changes)
    with pytest.raises(EngineError, match=reason) as caught:
        load(folder)
    assert file in str(caught.value)


def test_a_note_of_the_published_vae_without_effect_is_accepted(folder: Path) -> None:
    change_json(folder / 'vae' / 'config.json', clip_output=False)
    load(folder)


def test_times_for_each_token_need_a_backbone_that_learnt_them(folder: Path) -> None:
    load(folder, replace(CONFIG, per_token_times=True))
    change_json(folder / 'model_index.json', expand_timesteps=False)
    load(folder)
    with pytest.raises(EngineError, match='expand_timesteps is False, must be true'):
        load(folder, replace(CONFIG, per_token_times=True))


def test_a_missing_and_an_unexpected_weight_are_named(folder: Path) -> None:
    name = 'blocks.1.attn1.to_q.bias'
    shard = place_of(folder / 'transformer', name)
    change_weights(shard, lambda state: state.update(odd=state.pop(name)))
    with pytest.raises(EngineError, match=r"lacks \['blocks\.1\.attn1\.to_q\.bias'\].*\['odd'\]"):
        load(folder)  # the index and the shard differ
    change_map(folder / 'transformer', lambda places: places.update(odd=places.pop(name)))
    with pytest.raises(EngineError, match=r"index\.json lacks \['blocks\.1\.attn1\.to_q\.bias'\]"):
        load(folder)  # they agree, and differ from the model


def test_a_weight_of_another_shape_is_named_with_both(folder: Path) -> None:
    shard = place_of(folder / 'transformer', 'proj_out.bias')
    change_weights(shard, lambda state: state.update({'proj_out.bias': torch.zeros(7)}))
    with pytest.raises(EngineError, match=r'proj_out\.bias \(7,\), wanted \(192,\)'):
        load(folder)


def test_a_weight_of_the_vae_that_is_missing_is_named_even_if_one_frame_needs_it_not(
    folder: Path,
) -> None:
    name = 'encoder.down_blocks.1.downsampler.time_conv.bias'
    path = folder / 'vae' / 'diffusion_pytorch_model.safetensors'
    change_weights(path, lambda state: state.pop(name))
    with pytest.raises(EngineError, match=r'lacks .*time_conv\.bias'):
        load(folder)


@pytest.mark.parametrize(('value', 'reason'), [
    (torch.full((192,), torch.inf), 'numbers that are not finite'),
    (torch.zeros(192, dtype=torch.int8), 'is torch.int8, must be float32'),
    (torch.zeros(192).to(torch.float8_e4m3fn), 'not a quantised copy'),
])  # fmt: skip
def test_weights_that_are_no_good_numbers_are_refused(
    folder: Path, value: torch.Tensor, reason: str
) -> None:
    shard = place_of(folder / 'transformer', 'proj_out.bias')
    change_weights(shard, lambda state: state.update({'proj_out.bias': value}))
    with pytest.raises(EngineError, match=reason):
        load(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    shard = place_of(folder / 'transformer', 'proj_out.bias')
    shard.unlink()
    with pytest.raises(EngineError, match=f'{shard.name} is missing: fetch'):
        load(folder)


@pytest.mark.parametrize('kept', [5000, 100, 4, 0])
def test_a_shard_that_was_cut_short_is_named(folder: Path, kept: int) -> None:
    shard = place_of(folder / 'transformer', 'proj_out.bias')
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(EngineError, match=f'{shard.name} is cut short or no safetensors'):
        load(folder)


def test_a_pointer_of_git_lfs_is_told_from_weights(folder: Path) -> None:
    path = folder / 'vae' / 'diffusion_pytorch_model.safetensors'
    path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n')
    with pytest.raises(EngineError, match="run 'git lfs pull'"):
        load(folder)


@pytest.mark.parametrize(('content', 'reason'), [
    ('{', 'cannot be read'), ('[]', 'cannot be read'), ('{"weight_map": []}', 'cannot be read'),
    ('{"weight_map": {"a": "../b.safetensors"}}', 'outside of its folder'),
])  # fmt: skip
def test_an_index_that_is_none_is_refused(folder: Path, content: str, reason: str) -> None:
    (folder / 'transformer' / 'diffusion_pytorch_model.safetensors.index.json').write_text(content)
    with pytest.raises(EngineError, match=reason):
        load(folder)


def test_a_folder_that_is_no_snapshot_is_refused_by_the_file_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r'model_index\.json cannot be read'):
        load(tmp_path)


def test_weights_that_are_not_there_at_all_are_named(folder: Path) -> None:
    (folder / 'vae' / 'diffusion_pytorch_model.safetensors').unlink()
    with pytest.raises(EngineError, match='vae has neither diffusion_pytorch_model'):
        load(folder)


def test_a_model_that_hashes_its_tasks_takes_no_embeddings(snapshot: Path) -> None:
    config = replace(CONFIG, text='hash')
    with pytest.raises(ConfigurationError, match='hashes its tasks'):
        load(snapshot, config)
    model = pretrained.load(snapshot, config, RANGES)
    assert model.text.shape == (2, 512, 16)


def test_latent_statistics_come_from_the_folder_where_the_configuration_has_none(
    snapshot: Path,
) -> None:
    bare = replace(CONFIG, vae=replace(CONFIG.vae, latents_mean=(), latents_std=()))
    model = load(snapshot, bare)
    assert model.config.vae.latents_mean == CONFIG.vae.latents_mean
    assert model.latents_std[0] == pytest.approx(0.4765)
    assert TINY.vae.latents_mean == ()
