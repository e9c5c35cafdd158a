# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Embed the texts of tasks with umT5, before training."""

import hashlib
import html
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from viva_ros.console.progress import bar
from viva_ros.core.errors import ConfigurationError, EngineError
from viva_ros.model import checkpoint
from viva_ros.model.config import UMT5
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.text import Embeddings, read, write
from viva_ros.model.wan_files import AGAIN, Shards, read_json


def embed(snapshot: Path, texts: Sequence[str], tasks: Sequence[str] | None = None) -> Embeddings:
    """
    Embed texts.

    :param snapshot: folder of pretrained Wan2.2-TI2V weights
    :param tasks: names of the texts; None: the texts themselves
    :raises ConfigurationError: if a text is empty or too long, or names are missing or repeated
    :raises EngineError: if a file of the snapshot is missing or cannot be read
    """
    cleaned = [clean(text) for text in texts]
    names = list(tasks) if tasks is not None else cleaned
    if len(names) != len(cleaned) or len(set(names)) != len(names) or '' in (*names, *cleaned):
        raise ConfigurationError(
            'task-names-mismatch',
            f'tasks are {names} for texts {cleaned}, must be one name for each, all different',
        )
    _check(snapshot)
    tokenizer, encoder = _load(snapshot)
    numbers = [tokenizer(text).input_ids for text in cleaned]
    for text, row in zip(cleaned, numbers, strict=True):
        if len(row) > TOKENS:
            raise ConfigurationError(
                'text-too-long',
                f'text has {len(row)} tokens, at most {TOKENS}: shorten {text[:40]!r}...',
            )
    rows = torch.stack([_encode(encoder, row) for row in numbers])
    lengths = tuple(len(row) for row in numbers)
    return Embeddings(tuple(names), tuple(cleaned), lengths, fingerprint(snapshot), rows)


def clean(text: str) -> str:
    """Resolve HTML escapes, once or twice, and replace each run of white space by one blank."""
    return ' '.join(html.unescape(html.unescape(text)).split())


def add_to_file(path: Path, made: Embeddings) -> None:
    """Add embeddings to a file; they replace those of the same tasks."""
    check_name(path)
    write(path, read(path).joined(made) if path.exists() else made)


def check_name(path: Path) -> None:
    """
    Check the name of an output file before the texts are embedded.

    :raises ConfigurationError: if it does not end in .safetensors
    """
    if path.suffix != '.safetensors':
        raise ConfigurationError('embeddings-suffix', f'out is {path}, must end in .safetensors')


def add_to_checkpoint(folder: Path, made: Embeddings) -> str:
    """
    Add tasks to a checkpoint, or replace their texts, and return its new fingerprint.

    :raises EngineError: if it cannot be read, or its model hashes task names
    :raises ConfigurationError: if its texts were embedded by another encoder
    """
    found = checkpoint.read(folder, dtype=None)
    config = found.model.config
    if config.text != UMT5:
        raise EngineError(
            'checkpoint-text-hashed',
            f'{folder} has a model that hashes task names (preset {config.preset}), it must use '
            'umT5: train a model of a wan2.2 preset',
        )
    viva = found.model.viva if isinstance(found.model, EarlyExit) else found.model
    lengths = tuple(int(row.any(dim=1).sum()) for row in viva.text)
    own = Embeddings(config.tasks, config.texts, lengths, config.text_encoder, viva.text)
    whole = own.joined(replace(made, rows=made.rows.float()))
    viva.config = replace(config, tasks=whole.tasks, texts=whole.texts)
    viva.text = whole.rows
    later = [*found.provenance.get('embedded_later', ()), *made.tasks]
    return checkpoint.write(folder, found.model, {**found.provenance, 'embedded_later': later})


def fingerprint(snapshot: Path) -> str:
    """Return the first 16 hex digits of the SHA-256 over text encoder and tokenizer."""
    digest = hashlib.sha256()
    paths = [
        path for part in ('text_encoder', 'tokenizer')
        for path in sorted((snapshot / part).iterdir()) if path.is_file()
    ]  # fmt: skip
    total = sum(-(-path.stat().st_size // _CHUNK) for path in paths)
    for name, chunk in bar(_chunks(paths), 'hashing the text encoder', total):
        digest.update(name)
        digest.update(chunk)
    return digest.hexdigest()[:16]


def _chunks(paths: Sequence[Path]) -> Iterator[tuple[bytes, bytes]]:
    for path in paths:
        name = f'{path.parent.name}/{path.name}'.encode()
        with path.open('rb') as file:
            while chunk := file.read(_CHUNK):
                yield name, chunk
                name = b''


def _check(snapshot: Path) -> None:
    path = snapshot / 'model_index.json'
    found = read_json(path).get('text_encoder')
    if found != ['transformers', ENCODER]:
        raise EngineError(
            'text-encoder-unknown', f'{path}: text_encoder is {found}, must be {ENCODER}: {AGAIN}'
        )
    Shards(snapshot / 'text_encoder', 'model')  # an error names a missing or damaged file
    if not (snapshot / 'tokenizer').is_dir():
        raise EngineError('tokenizer-missing', f'{snapshot} lacks the folder tokenizer: {AGAIN}')


def _load(snapshot: Path) -> tuple[Any, Any]:
    """Load tokenizer and encoder, in the type of the published weights."""
    from transformers import AutoTokenizer, UMT5EncoderModel

    try:
        tokenizer = AutoTokenizer.from_pretrained(snapshot / 'tokenizer', local_files_only=True)
        encoder, report = UMT5EncoderModel.from_pretrained(
            snapshot / 'text_encoder', local_files_only=True, dtype='auto',
            output_loading_info=True, use_safetensors=True,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError) as error:
        raise EngineError(
            'text-encoder-unreadable', f'umT5 in {snapshot} cannot be read ({error}): {AGAIN}'
        ) from error
    wrong = {kind: sorted(map(str, names)) for kind, names in report.items() if names}
    if wrong:
        raise EngineError(
            'text-encoder-weights-mismatch',
            f'{snapshot / "text_encoder"} does not fit {ENCODER}: {wrong}: {AGAIN}',
        )
    return tokenizer, encoder.eval()


def _encode(encoder: Any, numbers: Sequence[int]) -> Tensor:
    """Return the embedding of a text, (TOKENS, width); zeros after its end."""
    with torch.inference_mode():
        states = encoder(torch.tensor([numbers])).last_hidden_state[0]
    if not bool(torch.isfinite(states).all()):
        raise EngineError(
            'embedding-not-finite',
            f'the text encoder returns numbers that are not finite ({states.dtype}): '
            'use weights in bfloat16 or float32',
        )
    rows = torch.zeros(TOKENS, states.shape[1], dtype=states.dtype)
    rows[: len(numbers)] = states
    return rows


TOKENS: Final = 512

ENCODER: Final = 'UMT5EncoderModel'

_CHUNK: Final = 1 << 24  # bytes
