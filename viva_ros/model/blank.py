# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models whose parameters have shapes but no memory yet: nothing is drawn only to be replaced."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges
from viva_ros.model.config import ViVaConfig
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.viva import ViVa

M = TypeVar('M', bound=nn.Module)
K = TypeVar('K', ViVa, EarlyExit)


def without_memory(make: Callable[[], M]) -> M:
    """Make a module on the meta device."""
    with torch.device('meta'):
        return make()


def blank(
    config: ViVaConfig, ranges: JointRanges, text: Tensor | None = None, kind: type[K] = ViVa
) -> K:
    """
    Give a model to be filled; its constants have memory.

    :param text: embeddings of the tasks; None if they come with the weights
    :param kind: ViVa, or what has one in its place
    """
    if text is None:
        shape = (len(config.tasks), config.text_tokens, config.transformer.text_dim)
        text = torch.full(shape, torch.nan)
    model = without_memory(lambda: kind(config, ranges, text))
    transformer = model.transformer if isinstance(model, ViVa) else model.viva.transformer
    size = transformer.config
    transformer.rope = WanRotaryPosEmbed(
        size.attention_head_dim, size.patch_size, size.rope_max_seq_len
    )
    return model


def fill(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """
    Put weights into a module, in place of its own.

    :param weights: of all that the module keeps; what has memory already may be left out
    :raises RuntimeError: if one is missing, unexpected or of another shape
    """
    own = {name: tensor for name, tensor in module.state_dict().items() if not tensor.is_meta}
    module.load_state_dict({**own, **weights}, assign=True)
