# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A checkpoint: weights in safetensors, the rest in JSON; no executable code.

``model.json`` has the SHA-256 of ``model.safetensors``, so files of two checkpoints do not mix.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from viva_ros.core.errors import EngineError
from viva_ros.core.files import replace_atomically, write_atomically
from viva_ros.core.json_text import parse_object
from viva_ros.core.normalize import JointRanges
from viva_ros.core.trusted_files import OpenFile, OpenFolder
from viva_ros.model.config import ViVaConfig
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.viva import ViVa

M = TypeVar('M', bound=nn.Module)
K = TypeVar('K', ViVa, EarlyExit)


def without_memory(make: Callable[[], M]) -> M:
    """Create a module on the meta device, without memory for its weights."""
    with torch.device('meta'):
        return make()


def blank(
    config: ViVaConfig, ranges: JointRanges, text: Tensor | None = None, kind: type[K] = ViVa
) -> K:
    """
    Return a model on the meta device whose constants have memory; ``fill`` sets its weights.

    :param text: embeddings of the tasks; None if they are among the weights
    :param kind: ViVa or EarlyExit
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


def fill(module: nn.Module, weights: Mapping[str, Tensor], blank: str = '') -> None:
    """
    Set the weights of a module, without a copy.

    :param weights: all parameters and buffers; those with memory are optional
    :param blank: part of the module, by its name, that stays on the meta device; '': none
    :raises RuntimeError: if a weight is missing, unexpected or has another shape
    """
    own = {
        name: tensor for name, tensor in module.state_dict().items()
        if not tensor.is_meta or (blank and name.startswith(f'{blank}.'))
    }  # fmt: skip
    module.load_state_dict({**own, **weights}, assign=True)


WEIGHTS: Final = 'model.safetensors'
DESCRIPTION: Final = 'model.json'
FORMAT: Final = 1
KINDS: Final = {ViVa: 'viva', EarlyExit: 'early_exit'}
LARGEST_DESCRIPTION: Final = 1 << 26  # bytes
LARGEST_NUMBER: Final = 1e6  # in the configuration of a model
LARGEST_LIST: Final = 10_000
LARGEST_TEXTS: Final = 1_000_000_000  # numbers in the embeddings of all tasks
LONGEST_HORIZON: Final = 60.0  # s


class CheckpointFolder(Protocol):
    """A folder that was opened; that of an engine verifies each file that is opened."""

    path: Path

    def has(self, name: str) -> bool:
        """Return whether there is an entry with a name."""
        ...

    def open(self, name: str) -> OpenFile:
        """Open a regular file; raises EngineError, OSError."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """
    A loaded model.

    :param provenance: command, seeds, data and metrics of its training
    :param fingerprint: first 16 hex digits of the SHA-256 over weights and configuration
    """

    model: ViVa | EarlyExit
    provenance: Mapping[str, Any]
    fingerprint: str


def write_weights(folder: Path, module: nn.Module, content: Mapping[str, Any]) -> str:
    """
    Write weights, then the description, each atomically.

    :param content: of the description; format and hash are added
    :returns: the SHA-256 of the weights
    :raises EngineError: if the weights cannot be written
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    try:
        replace_atomically(folder / WEIGHTS, lambda path: save_file(state, path))
    except SafetensorError as error:
        raise EngineError(
            'checkpoint-write',
            f'{folder / WEIGHTS} cannot be written ({error}): free disk space and run the same '
            'command again',
        ) from error
    digest = OpenFolder(folder, is_trusted=False).open(WEIGHTS).sha256
    described = {'format': FORMAT, **content, 'sha256': digest}
    write_atomically(folder / DESCRIPTION, json.dumps(described, indent=1) + '\n')
    return digest


def read_description(folder: Path | CheckpointFolder) -> dict[str, Any]:
    """
    Read the description.

    :raises EngineError: if it is missing, cannot be read, or has another format
    """
    if isinstance(folder, Path) and folder.is_dir():
        folder = OpenFolder(folder, is_trusted=False)
    if isinstance(folder, Path) or not folder.has(DESCRIPTION):
        folder = folder if isinstance(folder, Path) else folder.path
        problem = f'has no {DESCRIPTION}' if folder.is_dir() else 'does not exist'
        raise EngineError(
            'checkpoint-missing',
            f"{folder} {problem}: name the checkpoint folder that 'viva train' wrote, such as "
            'RUN/checkpoint',
        )
    path = folder.path / DESCRIPTION
    try:
        content = parse_object(folder.open(DESCRIPTION).read(LARGEST_DESCRIPTION))
    except (OSError, ValueError) as error:
        raise EngineError(
            'checkpoint-json-unreadable',
            f'{path} cannot be read ({error}): fetch the folder again',
        ) from error
    if content.get('format') != FORMAT:
        raise EngineError(
            'checkpoint-format',
            f'{path} has format {content.get("format")!r}, must be {FORMAT}: '
            'train or fetch it again',
        )
    return content


def read_weights(
    folder: Path | CheckpointFolder, module: nn.Module, digest: str,
    dtype: torch.dtype | None = torch.float32, blank: str = '',
) -> None:  # fmt: skip
    """
    Load all weights of a module by name.

    :param digest: expected SHA-256
    :param dtype: of floating-point weights; None keeps the stored dtype of each
    :param blank: part of the module that is not loaded, see ``fill``
    :raises EngineError: if they cannot be read, were changed, or do not fit
    """
    if isinstance(folder, Path):
        folder = OpenFolder(folder, is_trusted=False)
    path = folder.path / WEIGHTS
    try:
        opened = folder.open(WEIGHTS)
        if opened.sha256 != digest:
            raise EngineError(
                'checkpoint-hash',
                f'{path} does not match its description: fetch the folder again',
            )
        with safe_open(opened.path, 'pt') as file:  # the file that was hashed, by its descriptor
            keys = file.keys()  # the file itself is not iterable
            names = [k for k in keys if not (blank and k.startswith(f'{blank}.'))]
            state = {name: _tensor(file, name, dtype) for name in names}
        opened.check_unchanged()
    except (OSError, SafetensorError) as error:
        raise EngineError(
            'checkpoint-weights-unreadable',
            f'{path} cannot be read ({error}): fetch the folder again',
        ) from error
    expected = module.state_dict()
    if blank:
        expected = {k: v for k, v in expected.items() if not k.startswith(f'{blank}.')}
    _check_names(path, expected, state)
    fill(module, state, blank)


def _tensor(file: Any, name: str, dtype: torch.dtype | None) -> Tensor:
    found = file.get_tensor(name)
    return found.to(dtype if dtype and found.is_floating_point() else found.dtype, copy=True)


def _check_names(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    missing, unexpected = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or unexpected:
        raise EngineError(
            'checkpoint-weights-names',
            f'{path} lacks {missing} and has unexpected {unexpected}: fetch the folder again',
        )
    odd = [name for name in expected if expected[name].shape != found[name].shape]
    if odd:
        shapes = {name: (tuple(found[name].shape), tuple(expected[name].shape)) for name in odd}
        raise EngineError(
            'checkpoint-weights-shapes',
            f'{path} has shapes {shapes} (stored, expected): fetch the folder again',
        )


def write(folder: Path, model: ViVa | EarlyExit, provenance: Mapping[str, Any]) -> str:
    """
    Write a model.

    :returns: its fingerprint
    """
    config, ranges = model.config.to_dict(), model.ranges.to_dict()
    content = {
        'kind': KINDS[type(model)], 'config': config, 'ranges': ranges,
        'provenance': dict(provenance),
    }  # fmt: skip
    return fingerprint(write_weights(folder, model, content), config, ranges)


def read(
    folder: Path | CheckpointFolder, dtype: torch.dtype | None = torch.float32,
    blank_part: str = '',
) -> Checkpoint:  # fmt: skip
    """
    Read a model, on the CPU and in evaluation mode.

    :param dtype: of floating-point weights; None keeps the stored dtype of each
    :param blank_part: of the model, such as 'transformer', that stays without memory
    :raises EngineError: with the file and its fault
    """
    if isinstance(folder, Path) and folder.is_dir():
        folder = OpenFolder(folder, is_trusted=False)
    content = read_description(folder)
    try:
        check_size('config', {k: v for k, v in content['config'].items() if k != 'noise_seed'})
        config = ViVaConfig.from_dict(content['config'])
        _check_memory(config)
        kinds: dict[str, type[Any]] = {name: kind for kind, name in KINDS.items()}
        kind = kinds[content['kind']]
        model = blank(config, JointRanges.from_dict(content['ranges']), kind=kind)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        path = (folder if isinstance(folder, Path) else folder.path) / DESCRIPTION
        raise EngineError(
            'checkpoint-config', f'{path} does not describe a ViVa model ({error}): fetch it again'
        ) from error
    read_weights(folder, model, content['sha256'], dtype, blank_part)
    mark = fingerprint(content['sha256'], content['config'], content['ranges'])
    return Checkpoint(model.eval(), content['provenance'], mark)


def check_size(name: str, content: Any) -> None:
    """
    Check that a configuration has finite numbers and short lists: memory is reserved by them.

    :raises ValueError: with the field, its value and what is allowed
    """
    if isinstance(content, dict | list) and len(content) > LARGEST_LIST:
        raise ValueError(f'{name} has {len(content)} entries, must have at most {LARGEST_LIST}')
    if isinstance(content, dict):
        for key, one in content.items():
            check_size(f'{name}.{key}', one)
    elif isinstance(content, list):
        for one in content:
            check_size(name, one)
    elif isinstance(content, int | float) and not abs(content) <= LARGEST_NUMBER:  # NaN too
        raise ValueError(f'{name} is {content}, must be at most {LARGEST_NUMBER:g}')


def _check_memory(config: ViVaConfig) -> None:
    texts = len(config.tasks) * config.text_tokens * config.transformer.text_dim
    if texts > LARGEST_TEXTS or config.horizon > LONGEST_HORIZON:
        raise ValueError(
            f'its texts have {texts} numbers, at most {LARGEST_TEXTS} are allowed; horizon is '
            f'{config.horizon:g} s, at most {LONGEST_HORIZON:g} is allowed'
        )


def fingerprint(digest: str, config: Mapping[str, Any], ranges: Mapping[str, Any]) -> str:
    """Return the first 16 hex digits of the SHA-256 over weights and configuration."""
    canonical = json.dumps([digest, config, ranges], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
