# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Check the files of a published Wan2.2-TI2V folder against a configuration.

A different number makes another network of the same weights, so each number is compared: with the
configuration, or with the default of the class of diffusers.
"""

import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors import SafetensorError, safe_open
from torch import Tensor

from viva_ros.core import json_reader
from viva_ros.core.errors import EngineError
from viva_ros.model.config import ViVaConfig

Shape = tuple[int, ...]
AGAIN: Final = 'fetch the folder again'
_POINTER: Final = b'version https://git-lfs'


class Shards:
    """
    The tensors of a folder.

    :param folder: with STEM.safetensors, or STEM.safetensors.index.json and the files it names
    :ivar shapes: of all tensors, by name
    :raises EngineError: with a file that is missing, truncated, or differs from the index
    """

    def __init__(self, folder: Path, stem: str) -> None:
        index = folder / f'{stem}.safetensors.index.json'
        single = folder / f'{stem}.safetensors'
        if index.is_file():
            self.source, places = index, _read_index(index)
        elif single.is_file():
            self.source, places = single, dict.fromkeys(_open(single).keys(), single.name)
        else:
            raise EngineError(
                'wan-weights-missing',
                f'{folder} has neither {single.name} nor {index.name}: {AGAIN}',
            )
        self._files = {name: _open(folder / name) for name in sorted(set(places.values()))}
        self._places = places
        for name, file in self._files.items():
            expected = {key for key, place in places.items() if place == name}
            check_names(
                folder / name, expected, file.keys(), f'it differs from {index.name}, {AGAIN}'
            )
        self.shapes: dict[str, Shape] = {
            key: tuple(self._files[place].get_slice(key).get_shape())
            for key, place in places.items()
        }

    @property
    def files(self) -> list[str]:
        """Names of the files that hold tensors."""
        return list(self._files)

    def tensor(self, name: str, dtype: torch.dtype) -> Tensor:
        """
        Return a copy of one tensor.

        :raises EngineError: if its dtype is not floating-point, or a number is not finite
        """
        found = self._files[self._places[name]].get_tensor(name)
        if not found.is_floating_point() or found.element_size() < 2:
            raise EngineError(
                'wan-weights-dtype',
                f'{self.source}: {name} is {found.dtype}, must be float32, bfloat16 or float16: '
                'fetch the original weights, not a quantised copy',
            )
        if not bool(torch.isfinite(found).all()):
            raise EngineError(
                'wan-weights-not-finite',
                f'{self.source}: {name} has numbers that are not finite: {AGAIN}',
            )
        return found.to(dtype, copy=True)


def check_names(
    where: Path, expected: Iterable[str], found: Iterable[str], remedy: str = AGAIN
) -> None:
    """
    Compare names of tensors.

    :raises EngineError: with all missing and all unexpected names
    """
    missing, unexpected = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or unexpected:
        raise EngineError(
            'wan-weights-names',
            f'{where} lacks {missing} and has unexpected {unexpected}: {remedy}',
        )


def check_shapes(where: Path, expected: Mapping[str, Shape], found: Mapping[str, Shape]) -> None:
    """
    Compare names, then shapes of tensors.

    :raises EngineError: with all that are missing, unexpected or of another shape
    """
    check_names(where, expected, found)
    different = [
        f'{name} {found[name]}, must be {expected[name]}'
        for name in sorted(expected)
        if tuple(expected[name]) != tuple(found[name])
    ]
    if different:
        raise EngineError(
            'wan-weights-shapes', f'{where} has other shapes: {"; ".join(different)}: {AGAIN}'
        )


def _read_index(path: Path) -> dict[str, str]:
    try:
        content = json_reader.read_json(path)['weight_map']
        places = {str(key): str(place) for key, place in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            'wan-index-invalid', f'{path} cannot be read ({error!r}): {AGAIN}'
        ) from error
    outside = sorted({place for place in places.values() if Path(place).name != place})
    if outside:
        raise EngineError(
            'wan-index-path', f'{path} names files outside its folder: {outside}: {AGAIN}'
        )
    return places


def _open(path: Path) -> Any:
    try:
        with path.open('rb') as file:
            start = file.read(len(_POINTER))
        if start == _POINTER:
            raise EngineError(
                'wan-git-lfs', f"{path} is a git-lfs pointer, not weights: run 'git lfs pull'"
            )
        return safe_open(path, 'pt')
    except FileNotFoundError as error:
        raise EngineError('wan-shard-missing', f'{path} is missing: {AGAIN}') from error
    except (OSError, SafetensorError) as error:
        raise EngineError(
            'wan-shard-invalid',
            f'{path} is truncated or not a safetensors file ({error}): {AGAIN}',
        ) from error


SUPPORTED: Final = 'Wan2.2-TI2V in the layout of diffusers'
PARTS: Final = {'transformer': 'WanTransformer3DModel', 'vae': 'AutoencoderKLWan'}
SCHEDULER: Final = {'prediction_type': 'flow_prediction', 'num_train_timesteps': 1000}
#: Settings in the published folder that newer versions of diffusers do not have; no effect.
HARMLESS: Final = {'clip_output': False}


def check(folder: Path, config: ViVaConfig) -> ViVaConfig:
    """
    Check a folder against a configuration.

    :returns: the configuration, with the latent statistics of the folder if it has none
    :raises EngineError: with file, key, value and expected value
    """
    _check_index(folder / 'model_index.json', config)
    _check_scheduler(folder / 'scheduler' / 'scheduler_config.json')
    vae = _with_statistics(folder / 'vae' / 'config.json', config)
    expected = config.transformer.arguments(config.vae.z_dim)
    path = folder / 'transformer' / 'config.json'
    _check_numbers(path, WanTransformer3DModel, expected, config.preset)
    statistics = {'latents_mean': vae.vae.latents_mean, 'latents_std': vae.vae.latents_std}
    path = folder / 'vae' / 'config.json'
    _check_numbers(path, AutoencoderKLWan, {**vae.vae.arguments(), **statistics}, config.preset)
    return vae


def read_json(path: Path) -> dict[str, Any]:
    """
    Read a JSON object.

    :raises EngineError: if the file is missing or has no object
    """
    try:
        return dict(json_reader.read_json(path, finite=False))
    except (OSError, ValueError, TypeError) as error:
        raise EngineError(
            'wan-json-unreadable', f'{path} cannot be read ({error}): {AGAIN}'
        ) from error


def _check_index(path: Path, config: ViVaConfig) -> None:
    content = read_json(path)
    for part, name in PARTS.items():
        found = content.get(part)
        if found != ['diffusers', name]:
            raise EngineError(
                'wan-part', f'{path}: {part} is {found}, must be {name}: use {SUPPORTED}'
            )
    second = content.get('transformer_2') or [None]
    if second[0] is not None:
        raise EngineError(
            'wan-two-transformers',
            f'{path} has two transformers (A14B), must have one: use {SUPPORTED}',
        )
    if config.per_token_times and content.get('expand_timesteps') is not True:
        found = content.get('expand_timesteps')
        raise EngineError(
            'wan-expand-timesteps',
            f'{path}: expand_timesteps is {found}, must be true for a model with a time for each '
            f'token: use {SUPPORTED}, or set per_token_times to false',
        )


def _check_scheduler(path: Path) -> None:
    content = read_json(path)
    for key, expected in SCHEDULER.items():
        if content.get(key) != expected:
            raise EngineError(
                'wan-scheduler',
                f'{path}: {key} is {content.get(key)!r}, must be {expected!r}: use {SUPPORTED}',
            )


def _with_statistics(path: Path, config: ViVaConfig) -> ViVaConfig:
    """Return the configuration with mean and standard deviation of the latent channels."""
    content, channels = read_json(path), config.vae.z_dim
    found: dict[str, Any] = {}
    for key in ('latents_mean', 'latents_std'):
        values = content.get(key)
        if not isinstance(values, list) or len(values) != channels:
            count = len(values) if isinstance(values, list) else 'no'
            raise EngineError(
                'wan-statistics-count',
                f'{path}: {key} has {count} numbers, must have {channels}: {AGAIN}',
            )
        found[key] = getattr(config.vae, key) or tuple(float(value) for value in values)
    if min(found['latents_std']) <= 0:
        raise EngineError(
            'wan-statistics-sign',
            f'{path}: latents_std has a number that is not positive: {AGAIN}',
        )
    return replace(config, vae=replace(config.vae, **found))


def _check_numbers(path: Path, kind: type, arguments: Mapping[str, Any], preset: str) -> None:
    content = read_json(path)
    name = content.get('_class_name')
    if name != kind.__name__:
        raise EngineError(
            'wan-class',
            f'{path}: _class_name is {name!r}, must be {kind.__name__}: use {SUPPORTED}',
        )
    signature = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
    defaults = {p.name: p.default for p in signature if p.name != 'self'}
    found = {key: value for key, value in content.items() if not key.startswith('_')}
    found = {key: v for key, v in found.items() if key not in HARMLESS or v != HARMLESS[key]}
    unknown = sorted(set(found) - set(defaults))
    if unknown:
        raise EngineError(
            'wan-config-unknown',
            f'{path} has unexpected {unknown}: use {SUPPORTED}, or upgrade diffusers',
        )
    expected = json.loads(json.dumps({**defaults, **arguments}))
    found = json.loads(json.dumps({**defaults, **found}))
    different = [
        f'{key} is {found[key]}, must be {v}' for key, v in expected.items() if found[key] != v
    ]
    if different:
        raise EngineError(
            'wan-config-value',
            f'{path} does not fit preset {preset}: {"; ".join(different)}: use {SUPPORTED}',
        )
