# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from viva_ros.core.errors import EngineError
from viva_ros.model import checkpoint
from viva_ros.model.viva import ViVa


def change(folder: Path, **changes: object) -> None:
    path = folder / 'model.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replace_weights(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """Exchange the weights and mend the hash, as someone would who knows about it."""
    import hashlib

    save_file(state, folder / 'model.safetensors')
    digest = hashlib.sha256((folder / 'model.safetensors').read_bytes()).hexdigest()
    change(folder, sha256=digest)


def test_a_model_is_read_as_it_was_written(viva: ViVa, tmp_path: Path) -> None:
    mark = checkpoint.write(tmp_path, viva, {'seed': 7})
    back = checkpoint.read(tmp_path)
    assert back.model.config == viva.config
    assert back.model.ranges == viva.ranges
    assert back.provenance == {'seed': 7}
    assert back.fingerprint == mark
    for name, weight in viva.state_dict().items():
        assert torch.equal(weight, back.model.state_dict()[name]), name
    images, joints = torch.zeros(1, 3, 32, 32, 3).byte(), torch.zeros(1, 3)
    with torch.inference_mode():
        task = torch.zeros(1, dtype=torch.long)
        assert torch.equal(viva(images, joints, task)[0], back.model(images, joints, task)[0])


def test_noise_and_text_travel_with_the_weights(viva: ViVa, tmp_path: Path) -> None:
    checkpoint.write(tmp_path, viva, {})
    state = load_file(tmp_path / 'model.safetensors')
    assert state['text'].shape == (2, 1, 16)
    assert state['noise'].shape == (4, 2, 2, 2)


def test_the_fingerprint_follows_weights_configuration_and_ranges() -> None:
    base = checkpoint.fingerprint('ab', {'x': 1}, {'low': [0]})
    assert len(base) == 16
    others = {
        checkpoint.fingerprint('ac', {'x': 1}, {'low': [0]}),
        checkpoint.fingerprint('ab', {'x': 2}, {'low': [0]}),
        checkpoint.fingerprint('ab', {'x': 1}, {'low': [1]}),
    }
    assert len(others) == 3
    assert base not in others


def test_a_flipped_bit_is_found(viva: ViVa, tmp_path: Path) -> None:
    checkpoint.write(tmp_path, viva, {})
    content = bytearray((tmp_path / 'model.safetensors').read_bytes())
    content[-3] ^= 1
    (tmp_path / 'model.safetensors').write_bytes(content)
    with pytest.raises(EngineError, match='does not match its description: fetch'):
        checkpoint.read(tmp_path)


def test_missing_and_unexpected_weights_are_named(viva: ViVa, tmp_path: Path) -> None:
    checkpoint.write(tmp_path, viva, {})
    state = load_file(tmp_path / 'model.safetensors')
    state['nois'] = state.pop('noise')
    replace_weights(tmp_path, state)
    with pytest.raises(EngineError, match=r"lacks \['noise'\] and has \['nois'\]"):
        checkpoint.read(tmp_path)


def test_weights_of_another_shape_are_named(viva: ViVa, tmp_path: Path) -> None:
    checkpoint.write(tmp_path, viva, {})
    state = load_file(tmp_path / 'model.safetensors')
    replace_weights(tmp_path, state | {'latents_mean': torch.zeros(5)})
    with pytest.raises(EngineError, match=r"'latents_mean': \(\(5,\), \(4,\)\)"):
        checkpoint.read(tmp_path)


def test_a_file_that_is_no_safetensors_is_refused(viva: ViVa, tmp_path: Path) -> None:
    import hashlib

    checkpoint.write(tmp_path, viva, {})
    (tmp_path / 'model.safetensors').write_bytes(b'\x80\x05pickle')
    change(tmp_path, sha256=hashlib.sha256(b'\x80\x05pickle').hexdigest())
    with pytest.raises(EngineError, match=r'model\.safetensors cannot be read'):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize(('content', 'reason'), [
    ('{', 'cannot be read'),
    ('{"format": 9}', 'has format 9, must be 1'),
    ('{"format": 1}', 'describes no ViVa model'),
])  # fmt: skip
def test_a_description_that_does_not_fit_is_refused(
    tmp_path: Path, content: str, reason: str
) -> None:
    (tmp_path / 'model.json').write_text(content)
    with pytest.raises(EngineError, match=reason):
        checkpoint.read(tmp_path)


def test_an_empty_folder_is_refused_with_the_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r'model\.json cannot be read'):
        checkpoint.read(tmp_path)


def test_weights_are_replaced_before_their_description(tmp_path: Path) -> None:
    checkpoint.write_weights(tmp_path, nn.Linear(1, 1), {'kind': 'x'})
    assert sorted(path.name for path in tmp_path.iterdir()) == ['model.json', 'model.safetensors']
    assert checkpoint.read_description(tmp_path)['kind'] == 'x'
