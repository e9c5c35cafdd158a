# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The JSON files of a published Wan2.2-TI2V folder, held against a configuration.

A number that differs makes another network of the same weights, so each is compared: those that
the configuration sets, and the defaults of diffusers' class for the rest.
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

from viva_ros.core.errors import EngineError
from viva_ros.model.config import ViVaConfig

Shape = tuple[int, ...]
AGAIN: Final = 'fetch the folder again'
_POINTER: Final = b'version https://git-lfs'


class Shards:
    """
    The tensors of a folder.

    :param folder: with STEM.safetensors, or STEM.safetensors.index.json and what it names
    :param shapes: of all tensors, by name
    :raises EngineError: naming a file that is missing, cut short, or not as the index says
    """

    def __init__(self, folder: Path, stem: str) -> None:
        index = folder / f'{stem}.safetensors.index.json'
        single = folder / f'{stem}.safetensors'
        if index.is_file():
            self.source, places = index, _read_index(index)
        elif single.is_file():
            self.source, places = single, dict.fromkeys(_open(single).keys(), single.name)
        else:
            raise EngineError(f'{folder} has neither {single.name} nor {index.name}: {AGAIN}')
        self._files = {name: _open(folder / name) for name in sorted(set(places.values()))}
        self._places = places
        for name, file in self._files.items():
            promised = {key for key, place in places.items() if place == name}
            check_names(folder / name, promised, file.keys(), f'{index.name} says otherwise')
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
        Read one tensor into memory of its own.

        :raises EngineError: if it holds no floating-point numbers, or some that are not finite
        """
        found = self._files[self._places[name]].get_tensor(name)
        if not found.is_floating_point() or found.element_size() < 2:
            raise EngineError(
                f'{self.source}: {name} is {found.dtype}, must be float32, bfloat16 or float16: '
                'fetch the original weights, not a quantised copy'
            )
        if not bool(torch.isfinite(found).all()):
            raise EngineError(f'{self.source}: {name} has numbers that are not finite: {AGAIN}')
        return found.to(dtype, copy=True)


def check_names(
    where: Path, wanted: Iterable[str], given: Iterable[str], remedy: str = AGAIN
) -> None:
    """
    Compare names.

    :raises EngineError: with each that is missing and each that is unexpected
    """
    missing, unexpected = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if missing or unexpected:
        raise EngineError(f'{where} lacks {missing} and has unexpected {unexpected}: {remedy}')


def check_shapes(where: Path, wanted: Mapping[str, Shape], given: Mapping[str, Shape]) -> None:
    """
    Compare names, then shapes.

    :raises EngineError: with each that is missing, unexpected or of another shape
    """
    check_names(where, wanted, given)
    odd = [
        f'{name} {given[name]}, wanted {wanted[name]}'
        for name in sorted(wanted)
        if tuple(wanted[name]) != tuple(given[name])
    ]
    if odd:
        raise EngineError(f'{where} has other shapes: {"; ".join(odd)}: {AGAIN}')


def _read_index(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))['weight_map']
        places = {str(key): str(place) for key, place in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f'{path} cannot be read ({error!r}): {AGAIN}') from error
    odd = sorted({place for place in places.values() if Path(place).name != place})
    if odd:
        raise EngineError(f'{path} names files outside of its folder: {odd}: {AGAIN}')
    return places


def _open(path: Path) -> Any:
    try:
        with path.open('rb') as file:
            start = file.read(len(_POINTER))
        if start == _POINTER:
            raise EngineError(f"{path} is a git-lfs pointer, not weights: run 'git lfs pull'")
        return safe_open(path, 'pt')
    except FileNotFoundError as error:
        raise EngineError(f'{path} is missing: {AGAIN}') from error
    except (OSError, SafetensorError) as error:
        raise EngineError(f'{path} is cut short or no safetensors ({error}): {AGAIN}') from error


WANTED: Final = 'Wan2.2-TI2V in the layout of diffusers'
PARTS: Final = {'transformer': 'WanTransformer3DModel', 'vae': 'AutoencoderKLWan'}
SCHEDULER: Final = {'prediction_type': 'flow_prediction', 'num_train_timesteps': 1000}
#: Written by the version of diffusers that made the published folder, without effect when false.
HARMLESS: Final = {'clip_output': False}


def check(folder: Path, config: ViVaConfig) -> ViVaConfig:
    """
    Compare a folder with a configuration.

    :returns: the configuration, with the latent statistics of the folder where it had none
    :raises EngineError: naming file, number, what it is and what it must be
    """
    _check_index(folder / 'model_index.json', config)
    _check_scheduler(folder / 'scheduler' / 'scheduler_config.json')
    vae = _with_statistics(folder / 'vae' / 'config.json', config)
    wanted = config.transformer.arguments(config.vae.z_dim)
    path = folder / 'transformer' / 'config.json'
    _check_numbers(path, WanTransformer3DModel, wanted, config.preset)
    statistics = {'latents_mean': vae.vae.latents_mean, 'latents_std': vae.vae.latents_std}
    path = folder / 'vae' / 'config.json'
    _check_numbers(path, AutoencoderKLWan, {**vae.vae.arguments(), **statistics}, config.preset)
    return vae


def read_json(path: Path) -> dict[str, Any]:
    """
    Read an object.

    :raises EngineError: if there is none
    """
    try:
        return dict(json.loads(path.read_text(encoding='utf-8')))
    except (OSError, ValueError, TypeError) as error:
        raise EngineError(f'{path} cannot be read ({error}): {AGAIN}') from error


def _check_index(path: Path, config: ViVaConfig) -> None:
    content = read_json(path)
    for part, name in PARTS.items():
        given = content.get(part)
        if given != ['diffusers', name]:
            raise EngineError(f'{path}: {part} is {given}, must be {name}: give {WANTED}')
    second = content.get('transformer_2') or [None]
    if second[0] is not None:
        raise EngineError(f'{path}: has two transformers (A14B), must have one: give {WANTED}')
    if config.per_token_times and content.get('expand_timesteps') is not True:
        given = content.get('expand_timesteps')
        raise EngineError(
            f'{path}: expand_timesteps is {given}, must be true for a model with a time for each '
            f'token: give {WANTED}, or set per_token_times to false'
        )


def _check_scheduler(path: Path) -> None:
    content = read_json(path)
    for key, wanted in SCHEDULER.items():
        if content.get(key) != wanted:
            raise EngineError(f'{path}: {key} is {content.get(key)!r}, must be {wanted!r}')


def _with_statistics(path: Path, config: ViVaConfig) -> ViVaConfig:
    """Take mean and standard deviation of the latent channels where they are not known yet."""
    content, channels = read_json(path), config.vae.z_dim
    found: dict[str, Any] = {}
    for key in ('latents_mean', 'latents_std'):
        values = content.get(key)
        if not isinstance(values, list) or len(values) != channels:
            count = len(values) if isinstance(values, list) else 'no'
            raise EngineError(f'{path}: {key} has {count} numbers, must have {channels}: {AGAIN}')
        found[key] = getattr(config.vae, key) or tuple(float(value) for value in values)
    if min(found['latents_std']) <= 0:
        raise EngineError(f'{path}: latents_std has a number that is not positive: {AGAIN}')
    return replace(config, vae=replace(config.vae, **found))


def _check_numbers(path: Path, kind: type, arguments: Mapping[str, Any], preset: str) -> None:
    content = read_json(path)
    name = content.get('_class_name')
    if name != kind.__name__:
        raise EngineError(f'{path}: _class_name is {name!r}, must be {kind.__name__}')
    signature = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
    defaults = {p.name: p.default for p in signature if p.name != 'self'}
    given = {key: value for key, value in content.items() if not key.startswith('_')}
    given = {key: v for key, v in given.items() if key not in HARMLESS or v != HARMLESS[key]}
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise EngineError(f'{path} has unexpected {unknown}: give {WANTED}, or upgrade diffusers')
    wanted = json.loads(json.dumps({**defaults, **arguments}))
    given = json.loads(json.dumps({**defaults, **given}))
    odd = [f'{key} is {given[key]}, must be {v}' for key, v in wanted.items() if given[key] != v]
    if odd:
        raise EngineError(f'{path} does not fit preset {preset}: {"; ".join(odd)}: give {WANTED}')
