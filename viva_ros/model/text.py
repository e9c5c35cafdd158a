# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Embeddings of task texts for models too small for a text encoder.

A fixed random direction for each text tells tasks apart, which is all that a handful of tasks
needs. It is stored in the checkpoint: a robot computes none.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor


def embed_task(text: str, tokens: int, dim: int) -> Tensor:
    """Give normal numbers seeded by the text, each row of unit root mean square: (tokens, dim)."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big')
    rows = np.random.default_rng(seed).standard_normal((tokens, dim))
    rows /= np.sqrt((rows**2).mean(axis=1, keepdims=True))
    return torch.from_numpy(rows.astype(np.float32))
