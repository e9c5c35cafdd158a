# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Weights in safetensors as they are published: one file, or several and an index of them.

Headers are read and compared at once; a tensor is read when it is asked for.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from viva_ros.core.errors import EngineError

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
