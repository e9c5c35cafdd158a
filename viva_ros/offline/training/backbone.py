# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run that begins with published weights, or with the texts of its tasks embedded."""

from collections.abc import Iterable, Sequence

import torch

from viva_ros.console.progress import bar
from viva_ros.core.normalize import JointRanges
from viva_ros.model import embeddings as files
from viva_ros.model import pretrained
from viva_ros.model.config import ViVaConfig
from viva_ros.model.text import table
from viva_ros.model.viva import ViVa
from viva_ros.training.config import Run


def first_model(run: Run, config: ViVaConfig, ranges: JointRanges) -> ViVa:
    """
    Give a model with the weights of the backbone, or random ones where there is none.

    Weights that are only looked through (adapters or a head learn instead) are in bfloat16 where
    products are; those that learn are in float32.

    :raises EngineError: if backbone or embeddings cannot be read, or do not fit the preset
    :raises ConfigurationError: if a task has no embedding and the preset needs one
    """
    embeddings = None if run.embeddings is None else files.read(run.embeddings)
    if run.backbone is None:
        return ViVa(*_with_text(config, ranges, embeddings))
    frozen = bool(run.lora or run.head) and run.hardware.precision == 'bf16'
    dtype = torch.bfloat16 if frozen else torch.float32
    return pretrained.load(run.backbone, config, ranges, embeddings, dtype, _watch)


def _with_text(
    config: ViVaConfig, ranges: JointRanges, embeddings: files.Embeddings | None
) -> tuple[ViVaConfig, JointRanges, torch.Tensor]:
    config, text = table(config, embeddings)
    return config, ranges, text


def _watch(names: Sequence[str]) -> Iterable[str]:
    return bar(names, 'reading the backbone', len(names))
