# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
ROS parameters out of settings dataclasses: declared, checked when set, and read back.

A nested dataclass gives dotted names ('sync.slop'). A value that is refused keeps the old one. A
start value (file, command line) that does not fit does not end the node: ``read`` raises it at
configure.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import validate

Settings = TypeVar('Settings')


@dataclass(frozen=True)
class Declared:
    """One parameter: dotted name, default, sentence and limits."""

    name: str
    default: Any
    doc: str
    limits: Any


def flatten(settings: Any, prefix: str = '') -> Iterator[Declared]:
    """List the parameters that a settings instance becomes, in order."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from flatten(value, f'{prefix}{field.name}.')
        else:
            doc, limits = field.metadata['doc'], field.metadata['limits']
            yield Declared(prefix + field.name, value, doc, limits)


def unflatten(settings: Any, values: Mapping[str, Any], prefix: str = '') -> Any:
    """Give a copy of the settings with the values of dotted names."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        old, name = getattr(settings, field.name), prefix + field.name
        if dataclasses.is_dataclass(old):
            changes[field.name] = unflatten(old, values, f'{name}.')
        elif name in values:
            changes[field.name] = _coerce(old, values[name])
    return dataclasses.replace(settings, **changes)


class Parameters(Generic[Settings]):
    """The parameters of one node."""

    def __init__(
        self, node: Node, defaults: Settings, check: Callable[[Settings], None] = lambda _: None
    ) -> None:
        """
        Declare them all.

        :param check: says by a ConfigurationError why checked settings can't be taken now
        """
        self._node, self._defaults, self._check = node, defaults, check
        self._declared = {declared.name: declared for declared in flatten(defaults)}
        for declared in self._declared.values():
            self._declare(declared)
        self._warn_of_others()
        node.add_on_set_parameters_callback(self._on_set)

    def read(self) -> Settings:
        """
        Give the present settings.

        :raises ConfigurationError: naming a start value that does not fit
        """
        settings: Settings = unflatten(self._defaults, self._values())
        validate(settings)
        return settings

    def _values(self) -> dict[str, Any]:
        return {name: self._node.get_parameter(name).value for name in self._declared}

    def _declare(self, declared: Declared) -> None:
        descriptor = ParameterDescriptor(
            description=declared.doc,
            additional_constraints=str(declared.limits),
            dynamic_typing=True,  # types are checked with the ranges, and said in words
        )
        default = declared.default
        start = list(default) if isinstance(default, tuple) else default
        self._node.declare_parameter(declared.name, start, descriptor)

    def _warn_of_others(self) -> None:
        """ROS ignores a name that is not declared; one that is nearly ours is a slip."""
        given = getattr(self._node, '_parameter_overrides', {})
        for name in sorted(set(given) - set(self._declared)):
            near = difflib.get_close_matches(name, self._declared, 1)
            if near:
                self._node.get_logger().warning(
                    f'there is no parameter {name!r}, it is ignored: is {near[0]!r} meant?'
                )

    def _on_set(self, changes: list[Parameter]) -> SetParametersResult:
        ours = {p.name: p.value for p in changes if p.name in self._declared}
        if not ours:
            return SetParametersResult(successful=True)
        try:
            validate(unflatten(self._defaults, ours))  # others may have to be mended after it
            self._check(unflatten(self._defaults, self._values() | ours))
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def _coerce(default: Any, value: Any) -> Any:
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, tuple) and isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(value)  # a list, or an array of numbers, which is refused then
    return value
