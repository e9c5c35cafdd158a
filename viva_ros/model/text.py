# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Embeddings of task texts in a file, made once by `viva embed` with a text encoder.

The rows are in safetensors; tasks, texts and encoder are in a JSON file of the same name.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from viva_ros.core.errors import ConfigurationError, EngineError
from viva_ros.core.files import write_atomically
from viva_ros.core.json_reader import read_json
from viva_ros.model.config import HASH, ViVaConfig

FORMAT: Final = 1
KEY: Final = 'text'
AGAIN: Final = "make it again with 'viva embed'"


@dataclass(frozen=True)
class Embeddings:
    """
    Embeddings of task texts by one text encoder.

    :param tasks: names, as in the labels of recordings and the parameter ``task``
    :param texts: embedded texts, cleaned
    :param lengths: tokens of each text; rows past them are zeros
    :param encoder: first 16 hex digits of the SHA-256 over text encoder and tokenizer
    :param rows: (tasks, tokens, width)
    """

    tasks: tuple[str, ...]
    texts: tuple[str, ...]
    lengths: tuple[int, ...]
    encoder: str
    rows: Tensor

    def __post_init__(self) -> None:
        counts = {len(self.tasks), len(self.texts), len(self.lengths), len(self.rows)}
        if len(counts) != 1 or len(set(self.tasks)) != len(self.tasks) or self.rows.ndim != 3:
            raise ValueError(f'embeddings of {self.tasks} have texts, lengths or rows of others')

    def of(self, tasks: Sequence[str]) -> 'Embeddings':
        """
        Return the embeddings of some tasks, in their order.

        :raises ConfigurationError: with the tasks that have none, and the remedy
        """
        missing = [task for task in tasks if task not in self.tasks]
        if missing:
            raise ConfigurationError(
                'task-embedding-missing',
                f'tasks {missing} have no embedding, there are {list(self.tasks)}: '
                f'run \'viva embed "TEXT" --task "{missing[0]}" --snapshot DIR --out FILE\'',
            )
        at = [self.tasks.index(task) for task in tasks]
        texts, lengths = tuple(self.texts[k] for k in at), tuple(self.lengths[k] for k in at)
        return Embeddings(tuple(tasks), texts, lengths, self.encoder, self.rows[at])

    def joined(self, newer: 'Embeddings') -> 'Embeddings':
        """
        Return both embeddings; the newer one of a task replaces the older.

        :raises ConfigurationError: if their encoders or sizes differ
        """
        if self.encoder != newer.encoder or self.rows.shape[1:] != newer.rows.shape[1:]:
            raise ConfigurationError(
                'embeddings-encoder',
                f'embeddings are of encoder {self.encoder}, new ones of {newer.encoder}: embed '
                'all tasks with the same snapshot',
            )
        tasks = tuple(dict.fromkeys(self.tasks + newer.tasks))
        parts = [(newer if task in newer.tasks else self).of([task]) for task in tasks]
        texts = tuple(part.texts[0] for part in parts)
        lengths = tuple(part.lengths[0] for part in parts)
        rows = torch.cat([part.rows.to(newer.rows.dtype) for part in parts])
        return Embeddings(tasks, texts, lengths, self.encoder, rows)


def write(path: Path, embeddings: Embeddings) -> None:
    """Write rows to PATH, then their description to PATH with the suffix .json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = save({KEY: embeddings.rows.contiguous()})
    columns = zip(embeddings.tasks, embeddings.texts, embeddings.lengths, strict=True)
    described = {
        'format': FORMAT, 'encoder': embeddings.encoder,
        'sha256': hashlib.sha256(content).hexdigest(),
        'embeddings': [{'task': task, 'text': text, 'tokens': n} for task, text, n in columns],
    }  # fmt: skip
    write_atomically(path, content)
    write_atomically(path.with_suffix('.json'), json.dumps(described, indent=1) + '\n')


def read(path: Path) -> Embeddings:
    """
    Read embeddings.

    :raises EngineError: if a file is missing or invalid, or the two files do not match
    """
    description = path.with_suffix('.json')
    try:
        described = read_json(description)
        content = path.read_bytes()
        if described['format'] != FORMAT:
            found = described['format']
            raise EngineError(
                'embeddings-format',
                f'{description} has format {found!r}, must be {FORMAT}: {AGAIN}',
            )
        if hashlib.sha256(content).hexdigest() != described['sha256']:
            raise EngineError(
                'embeddings-hash', f'{path} does not match {description.name}: {AGAIN}'
            )
        return _parse(described, load(content)[KEY])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise EngineError(
            'embeddings-unreadable',
            f'{path} or {description.name} cannot be read ({error!r}): {AGAIN}',
        ) from error


def _parse(described: dict[str, Any], rows: Tensor) -> Embeddings:
    items = described['embeddings']
    tasks, texts = ([str(item[key]) for item in items] for key in ('task', 'text'))
    lengths = tuple(int(item['tokens']) for item in items)
    return Embeddings(tuple(tasks), tuple(texts), lengths, str(described['encoder']), rows)


def table(config: ViVaConfig, embeddings: Embeddings | None = None) -> tuple[ViVaConfig, Tensor]:
    """
    Return the configuration with its texts, and their embeddings, (tasks, tokens, width).

    :param embeddings: of all tasks of the configuration, or more
    :raises ConfigurationError: if embeddings are missing, unexpected or do not fit
    """
    tokens, width = config.text_tokens, config.transformer.text_dim
    if config.text == HASH:
        if embeddings is not None:
            raise ConfigurationError(
                'embeddings-unused',
                f'preset {config.preset} hashes its tasks and reads no embeddings: pass none',
            )
        rows = [embed_task(task, tokens, width) for task in config.tasks]
        return config, torch.stack(rows) if rows else torch.zeros(0, tokens, width, device='cpu')
    if embeddings is None:
        first = config.tasks[0] if config.tasks else 'TASK'
        raise ConfigurationError(
            'embeddings-missing',
            f'preset {config.preset} reads embeddings of its tasks {list(config.tasks)}, none are '
            f'given: run \'viva embed "TEXT" --task "{first}" --snapshot DIR --out FILE\'',
        )
    chosen = embeddings.of(config.tasks)
    if chosen.rows.shape[1:] != (tokens, width):
        raise ConfigurationError(
            'embeddings-size',
            f'embeddings are of {tuple(chosen.rows.shape[1:])} (tokens, width), preset '
            f"{config.preset} reads {(tokens, width)}: run 'viva embed' with its own snapshot",
        )
    config = replace(config, texts=chosen.texts, text_encoder=chosen.encoder)
    return config, chosen.rows.float()


def embed_task(text: str, tokens: int, dim: int) -> Tensor:
    """Return normal numbers seeded by the text, rows of unit root mean square: (tokens, dim)."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big')
    rows = np.random.default_rng(seed).standard_normal((tokens, dim))
    rows /= np.sqrt((rows**2).mean(axis=1, keepdims=True))
    return torch.from_numpy(rows.astype(np.float32))
