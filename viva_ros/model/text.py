# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The table of task texts that a model holds: one embedding for each of its tasks.

A model made of Wan2.2 reads embeddings of umT5, which `viva embed` makes. One too small for a
text encoder hashes the task: a fixed random direction tells tasks apart, which is all that a
handful of them needs. Either way the table is in the checkpoint, and a robot computes none.
"""

import hashlib
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from viva_ros.core.errors import ConfigurationError
from viva_ros.model.config import HASH, ViVaConfig
from viva_ros.model.embeddings import Embeddings


def table(config: ViVaConfig, embeddings: Embeddings | None = None) -> tuple[ViVaConfig, Tensor]:
    """
    Give the table, (tasks, tokens, width), and the configuration that says what is in it.

    :param embeddings: of the configuration's tasks at least
    :raises ConfigurationError: if some are wanted and missing, or do not fit
    """
    tokens, width = config.text_tokens, config.transformer.text_dim
    if config.text == HASH:
        if embeddings is not None:
            raise ConfigurationError(f'preset {config.preset} hashes its tasks: embeds none')
        rows = [embed_task(task, tokens, width) for task in config.tasks]
        return config, torch.stack(rows) if rows else torch.zeros(0, tokens, width, device='cpu')
    if embeddings is None:
        first = config.tasks[0] if config.tasks else 'TASK'
        raise ConfigurationError(
            f'preset {config.preset} reads embeddings of its tasks {list(config.tasks)}, none '
            f'are given: run \'viva embed "TEXT" --task "{first}" --snapshot DIR --out FILE\''
        )
    chosen = embeddings.of(config.tasks)
    if chosen.rows.shape[1:] != (tokens, width):
        raise ConfigurationError(
            f'embeddings are of {tuple(chosen.rows.shape[1:])} (tokens, width), preset '
            f"{config.preset} reads {(tokens, width)}: run 'viva embed' with its own snapshot"
        )
    config = replace(config, texts=chosen.texts, text_encoder=chosen.encoder)
    return config, chosen.rows.float()


def embed_task(text: str, tokens: int, dim: int) -> Tensor:
    """Give normal numbers seeded by the text, each row of unit root mean square: (tokens, dim)."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big')
    rows = np.random.default_rng(seed).standard_normal((tokens, dim))
    rows /= np.sqrt((rows**2).mean(axis=1, keepdims=True))
    return torch.from_numpy(rows.astype(np.float32))
