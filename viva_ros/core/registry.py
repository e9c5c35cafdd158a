# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Registries of the parts that this package defines and that another package can add."""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from viva_ros.core.errors import ConfigurationError

T = TypeVar('T')


class Registry(Generic[T]):
    """
    Objects of one kind by name; each is defined in one module, which is imported on first use.

    Another package adds an object by an entry point of the group. A duplicate name is refused.

    :param kind: for error texts, such as 'engine backend'
    :param group: of the entry points, such as 'viva_ros.engine_backends'
    :param builtin: name to 'module:attribute', in the order of ``names``
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind, self.group = kind, group
        self._loaders: dict[str, Callable[[], T]] = {}
        self._loaded: dict[str, T] = {}
        self._complete = False
        for name, place in builtin.items():
            self._loaders[name] = lambda place=place: _import(place)  # type: ignore[misc]

    def add(self, name: str, thing: T) -> None:
        """
        Add an object of the running program.

        Spawned worker processes, such as those of `viva record` and `viva score`, do not have it;
        an entry point adds it in every process.

        :raises ConfigurationError: if the name is taken
        """
        self._find()
        self._loaders = self._with(self._loaders, name, lambda: thing)

    def remove(self, name: str) -> None:
        """Remove an object that ``add`` added."""
        del self._loaders[name]
        self._loaded.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """Return all names without importing the objects."""
        self._find()
        return tuple(self._loaders)

    def __getitem__(self, name: str) -> T:
        """
        Return the object of a name, imported on first use.

        :raises ConfigurationError: if the name is unknown
        """
        self._find()
        if name not in self._loaders:
            known = ', '.join(self._loaders)
            raise ConfigurationError(
                'registry-name-unknown', f'{self.kind} is {name!r}, must be one of {known}'
            )
        if name not in self._loaded:
            self._loaded[name] = self._loaders[name]()
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        self._find()
        return name in self._loaders

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def values(self) -> Iterator[T]:
        """Import and yield all objects, in the order of ``names``."""
        return (self[name] for name in self.names())

    def _find(self) -> None:
        """Read the entry points of other packages once; after an error, again."""
        if self._complete:
            return
        loaders = self._loaders
        for point in _installed(tuple(sys.path)).select(group=self.group):
            loaders = self._with(loaders, point.name, partial(self._load, point))
        self._loaders, self._complete = loaders, True

    def _with(
        self, loaders: Mapping[str, Callable[[], T]], name: str, loader: Callable[[], T]
    ) -> dict[str, Callable[[], T]]:
        if name in loaders:
            raise ConfigurationError(
                'registry-name-duplicate',
                f'{self.kind} {name!r} is defined twice: uninstall one of the packages with an '
                f'entry point of this name in the group {self.group}',
            )
        return {**loaders, name: loader}

    def _load(self, point: EntryPoint) -> T:
        try:
            thing: T = point.load()
        except Exception as error:  # any code of another package
            owner = point.dist.name if point.dist else 'unknown'
            raise ConfigurationError(
                'registry-entry-point-broken',
                f'{self.kind} {point.name!r} of package {owner} cannot be loaded '
                f'({type(error).__name__}: {error}; entry point {point.value} in the group '
                f"{self.group}): repair or uninstall the package ('pip uninstall {owner}')",
            ) from error
        return thing


@lru_cache(maxsize=1)
def _installed(search_path: tuple[str, ...]) -> Any:
    """Return all entry points; read once for all registries: 30 ms with 250 packages."""
    return entry_points()


def _import(place: str) -> T:  # type: ignore[type-var]
    module, name = place.split(':')
    thing: T = getattr(import_module(module), name)
    return thing
