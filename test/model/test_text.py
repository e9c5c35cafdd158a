# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.errors import raises

from viva_ros.core.errors import ConfigurationError, EngineError
from viva_ros.model import text
from viva_ros.model.text import Embeddings, embed_task

EMBEDDINGS = Embeddings(('lift',), ('Lift it.',), (2,), 'abcd', torch.ones(1, 4, 8))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of written embeddings."""
    text.write(tmp_path / 't.safetensors', EMBEDDINGS)
    return tmp_path / 't.safetensors'


def test_written_embeddings_are_read_unchanged(path: Path) -> None:
    found = text.read(path)
    assert replace(found, rows=EMBEDDINGS.rows) == EMBEDDINGS
    assert torch.equal(found.rows, EMBEDDINGS.rows)


def test_embeddings_of_other_format_are_refused(path: Path) -> None:
    description = path.with_suffix('.json')
    content = json.loads(description.read_text())
    description.write_text(json.dumps({**content, 'format': 9}))
    with raises('embeddings-format', description, '9', 'must be 1', 'viva embed', of=EngineError):
        text.read(path)


def test_changed_embeddings_are_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b' ')
    with raises('embeddings-hash', path, 't.json', 'viva embed', of=EngineError):
        text.read(path)


def test_missing_embeddings_are_refused(path: Path) -> None:
    path.unlink()
    with raises('embeddings-unreadable', path, 'viva embed', of=EngineError):
        text.read(path)


def test_embeddings_of_two_encoders_do_not_join() -> None:
    other = replace(EMBEDDINGS, tasks=('pass',), encoder='ef01')
    with raises('embeddings-encoder', 'abcd', 'ef01', 'same snapshot', of=ConfigurationError):
        EMBEDDINGS.joined(other)


def test_embedding_depends_on_text_alone() -> None:
    first = embed_task('tray_lift', 2, 64)
    assert torch.equal(first, embed_task('tray_lift', 2, 64))
    other = embed_task('cube_transfer', 2, 64)
    assert abs(float((first * other).mean())) < 0.3


def test_embedding_rows_have_unit_rms() -> None:
    rows = embed_task('tray_lift', 3, 64)
    torch.testing.assert_close(rows.square().mean(dim=1), torch.ones(3))
    assert not torch.equal(rows[0], rows[1])
