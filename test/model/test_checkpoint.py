# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from support.errors import raises
from torch import nn

from viva_ros.core.errors import EngineError
from viva_ros.model import checkpoint
from viva_ros.model.viva import ViVa


def change(folder: Path, **changes: object) -> None:
    path = folder / 'model.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replace_weights(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """Replace the weights and update the hash in the description."""
    import hashlib

    save_file(state, folder / 'model.safetensors')
    digest = hashlib.sha256((folder / 'model.safetensors').read_bytes()).hexdigest()
    change(folder, sha256=digest)


def test_written_checkpoint_is_read_unchanged(viva: ViVa, tmp_path: Path) -> None:
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


def test_checkpoint_has_noise_and_text(viva: ViVa, tmp_path: Path) -> None:
    checkpoint.write(tmp_path, viva, {})
    state = load_file(tmp_path / 'model.safetensors')
    assert state['text'].shape == (2, 1, 16)
    assert state['noise'].shape == (4, 2, 2, 2)


def test_fingerprint_depends_on_weights_config_and_ranges() -> None:
    base = checkpoint.fingerprint('ab', {'x': 1}, {'low': [0]})
    assert len(base) == 16
    others = {
        checkpoint.fingerprint('ac', {'x': 1}, {'low': [0]}),
        checkpoint.fingerprint('ab', {'x': 2}, {'low': [0]}),
        checkpoint.fingerprint('ab', {'x': 1}, {'low': [1]}),
    }
    assert len(others) == 3
    assert base not in others


def test_flipped_bit_is_refused(viva: ViVa, tmp_path: Path) -> None:
    checkpoint.write(tmp_path, viva, {})
    content = bytearray((tmp_path / 'model.safetensors').read_bytes())
    content[-3] ^= 1
    (tmp_path / 'model.safetensors').write_bytes(content)
    with raises('checkpoint-hash', tmp_path / 'model.safetensors', 'fetch', of=EngineError):
        checkpoint.read(tmp_path)


def test_missing_and_unexpected_weights_are_named(viva: ViVa, tmp_path: Path) -> None:
    checkpoint.write(tmp_path, viva, {})
    state = load_file(tmp_path / 'model.safetensors')
    state['nois'] = state.pop('noise')
    replace_weights(tmp_path, state)
    with raises('checkpoint-weights-names', "['noise']", "['nois']", of=EngineError):
        checkpoint.read(tmp_path)


def test_weights_of_other_shape_are_named(viva: ViVa, tmp_path: Path) -> None:
    checkpoint.write(tmp_path, viva, {})
    state = load_file(tmp_path / 'model.safetensors')
    replace_weights(tmp_path, state | {'latents_mean': torch.zeros(5)})
    with raises('checkpoint-weights-shapes', "'latents_mean': ((5,), (4,))", of=EngineError):
        checkpoint.read(tmp_path)


def test_invalid_safetensors_file_is_refused(viva: ViVa, tmp_path: Path) -> None:
    import hashlib

    checkpoint.write(tmp_path, viva, {})
    (tmp_path / 'model.safetensors').write_bytes(b'\x80\x05pickle')
    change(tmp_path, sha256=hashlib.sha256(b'\x80\x05pickle').hexdigest())
    path = tmp_path / 'model.safetensors'
    with raises('checkpoint-weights-unreadable', path, 'fetch', of=EngineError):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize(('content', 'code', 'named'), [
    ('{', 'checkpoint-json-unreadable', ()),
    ('{"format": 9}', 'checkpoint-format', ('9', 'must be 1')),
    ('{"format": 1}', 'checkpoint-config', ("'config'",)),
], ids=['no JSON', 'format', 'no configuration'])  # fmt: skip
def test_invalid_description_is_refused(
    tmp_path: Path, content: str, code: str, named: tuple[str, ...]
) -> None:
    (tmp_path / 'model.json').write_text(content)
    with raises(code, tmp_path / 'model.json', 'fetch', *named, of=EngineError):
        checkpoint.read(tmp_path)


def test_missing_folder_or_description_is_named(tmp_path: Path) -> None:
    absent = tmp_path / 'none'
    with raises('checkpoint-missing', f'{absent} does not exist', 'viva train', of=EngineError):
        checkpoint.read(absent)
    with raises('checkpoint-missing', tmp_path, 'no model.json', 'viva train', of=EngineError):
        checkpoint.read(tmp_path)


def test_unwritable_weights_name_file_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise SafetensorError('No space left on device')

    monkeypatch.setattr(checkpoint, 'save_file', fail)
    with raises('checkpoint-write', tmp_path / 'model.safetensors', 'free disk space'):
        checkpoint.write_weights(tmp_path, nn.Linear(1, 1), {})


def test_description_is_written_with_its_weights(tmp_path: Path) -> None:
    checkpoint.write_weights(tmp_path, nn.Linear(1, 1), {'kind': 'x'})
    assert sorted(path.name for path in tmp_path.iterdir()) == ['model.json', 'model.safetensors']
    assert checkpoint.read_description(tmp_path)['kind'] == 'x'
