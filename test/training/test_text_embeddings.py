# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import WanPipeline
from safetensors.torch import load_file, save_file
from support.errors import raises

from viva_ros.cli.embed import main
from viva_ros.core.normalize import JointRanges
from viva_ros.model import checkpoint, pretrained
from viva_ros.model.config import preset
from viva_ros.model.text import Embeddings, read, write
from viva_ros.model.viva import ViVa
from viva_ros.training.text_embeddings import add_to_checkpoint, add_to_file, clean, embed

TEXTS = ('lift the tray', 'pass the red cube from the right hand to the left hand')
JOINTS = ('a', 'b')
RANGES = JointRanges(JOINTS, (-1.0, -1.0), (1.0, 1.0))


def test_embeddings_equal_those_of_the_diffusers_pipeline(snapshot: Path) -> None:
    made = embed(snapshot, TEXTS, ('lift', 'pass'))
    pipeline = WanPipeline.from_pretrained(snapshot, local_files_only=True)
    with torch.inference_mode():
        expected, _ = pipeline.encode_prompt(
            list(TEXTS), do_classifier_free_guidance=False, max_sequence_length=512
        )
    assert made.rows.shape == (2, 512, 16)
    torch.testing.assert_close(made.rows, expected, atol=1e-5, rtol=1e-4)
    for row, length in zip(made.rows, made.lengths, strict=True):
        assert row[:length].any(dim=1).all()
        assert not row[length:].any()


def test_texts_are_cleaned_as_by_diffusers() -> None:
    assert clean('  lift\n the\t tray ') == 'lift the tray'
    assert clean('cup &amp;amp; plate') == 'cup & plate'


def test_embedding_opens_no_network_connection(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError('a connection was opened')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    embed(snapshot, TEXTS[:1])


def test_embed_command_adds_or_replaces_tasks_of_a_file(
    snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, where = tmp_path / 'tasks.safetensors', ['--snapshot', str(snapshot)]
    assert main([TEXTS[0], *where, '--out', str(out)]) == 0
    assert main([TEXTS[1], '--task', 'pass', *where, '--out', str(out)]) == 0
    assert main(['raise the tray', '--task', TEXTS[0], *where, '--out', str(out)]) == 0
    assert 'lift the tray: ' in capsys.readouterr().out
    found = read(out)
    assert found.tasks == ('lift the tray', 'pass')
    assert found.texts == ('raise the tray', TEXTS[1])
    assert json.loads(out.with_suffix('.json').read_text())['encoder'] == found.encoder
    assert torch.equal(found.rows[1], embed(snapshot, TEXTS[1:]).rows[0])


def test_invalid_texts_and_task_names_are_refused(snapshot: Path) -> None:
    for texts, tasks in (((' ',), None), (TEXTS, ('one',)), (TEXTS, ('same', 'same')),
                         (TEXTS, ('', 'b'))):  # fmt: skip
        with raises('task-names-mismatch', 'one name for each', texts[-1].strip()):
            embed(snapshot, texts, tasks)
    with raises('text-too-long', 'at most 512', 'tray tray'):
        embed(snapshot, ('tray ' * 600,))
    with raises('embed-output-missing', '--out', '--checkpoint'):
        main([TEXTS[0], '--snapshot', str(snapshot)])
    with raises('embeddings-suffix', 'x.json', '.safetensors'):
        add_to_file(Path('x.json'), embed(snapshot, TEXTS[:1]))


def test_incomplete_snapshot_is_refused(snapshot: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(snapshot, tmp_path / 's'))
    encoder = folder / 'text_encoder'
    shard = sorted(encoder.glob('*.safetensors'))[0]
    whole = load_file(shard)
    save_file({f'{name}.odd': weight for name, weight in whole.items()}, shard)
    with raises('wan-weights-names', shard.name, 'index.json'):
        embed(folder, TEXTS)
    index = encoder / 'model.safetensors.index.json'
    content = json.loads(index.read_text())
    content['weight_map'] = {
        f'{name}.odd' if name in whole else name: place
        for name, place in content['weight_map'].items()
    }
    index.write_text(json.dumps(content))
    with raises('text-encoder-weights-mismatch', encoder, 'missing_keys'):
        embed(folder, TEXTS)
    shard.unlink()
    with raises('wan-shard-missing', shard):
        embed(folder, TEXTS)
    shutil.rmtree(folder / 'tokenizer')
    shutil.copytree(snapshot / 'text_encoder', encoder, dirs_exist_ok=True)
    with raises('tokenizer-missing', folder):
        embed(folder, TEXTS)


def test_embeddings_of_two_encoders_are_not_joined(snapshot: Path, tmp_path: Path) -> None:
    made = embed(snapshot, TEXTS)
    folder = Path(shutil.copytree(snapshot, tmp_path / 's'))
    with (folder / 'tokenizer' / 'tokenizer_config.json').open('a') as file:
        file.write('\n')
    other = embed(folder, ('fold the towel',))
    assert other.encoder != made.encoder
    add_to_file(tmp_path / 't.safetensors', made)
    with raises('embeddings-encoder', 'the same snapshot'):
        add_to_file(tmp_path / 't.safetensors', other)


def test_changed_embeddings_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 't.safetensors'
    write(path, Embeddings(('a',), ('A',), (1,), 'ab', torch.ones(1, 512, 16)))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with raises('embeddings-hash', path, 't.json'):
        read(path)
    with raises('embeddings-unreadable', tmp_path / 'none.safetensors'):
        read(tmp_path / 'none.safetensors')


def test_task_added_to_a_checkpoint_keeps_the_others(snapshot: Path, tmp_path: Path) -> None:
    made = embed(snapshot, TEXTS, ('lift', 'pass'))
    config = preset('wan2.2-tiny', ('left_wrist', 'right_wrist', 'head'), JOINTS, ('lift',))
    model = pretrained.load(snapshot, config, RANGES, made)
    before = checkpoint.write(tmp_path, model, {'seed': 3})
    arguments = [TEXTS[1], '--task', 'pass', '--snapshot', str(snapshot)]
    assert main([*arguments, '--checkpoint', str(tmp_path)]) == 0
    found = checkpoint.read(tmp_path)
    assert found.model.config.tasks == ('lift', 'pass')
    assert found.model.config.texts == TEXTS
    assert found.provenance == {'seed': 3, 'embedded_later': ['pass']}
    assert found.fingerprint != before
    images, joints = torch.zeros(1, 3, 64, 32, 3).byte(), torch.zeros(1, 2)
    with torch.inference_mode():
        lift, other = (found.model(images, joints, torch.tensor([k])) for k in (0, 1))
        assert torch.equal(lift[1], model(images, joints, torch.tensor([0]))[1])
    assert not torch.allclose(lift[1], other[1])
    with raises('embeddings-encoder', 'the same snapshot'):
        add_to_checkpoint(tmp_path, replace(made, encoder='other'))


def test_checkpoint_with_hashed_tasks_is_refused(snapshot: Path, tmp_path: Path) -> None:
    config = preset('tiny', ('head',), JOINTS, ('lift',))
    checkpoint.write(tmp_path, ViVa(config, RANGES), {})
    with raises('checkpoint-text-hashed', tmp_path, 'preset tiny', 'umT5', 'wan2.2'):
        add_to_checkpoint(tmp_path, embed(snapshot, TEXTS[:1]))
