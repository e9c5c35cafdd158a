# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Settings are frozen dataclasses: default, unit, range and sentence of each stand here once.

ROS parameters, their checks and the README's table are all made from these fields.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from viva_ros.core.errors import ConfigurationError

WORDS: Final = {
    bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text',
    tuple: 'a list of texts',
}  # fmt: skip

#: Bounds of every whole number: what a slider of rqt can hold.
INT_MIN: Final = -(2**31)
INT_MAX: Final = 2**31 - 1

T = TypeVar('T')


@dataclass(frozen=True)
class SettingLimits:
    """What a setting may be; None where there is no such limit."""

    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    choices: tuple[str, ...] | None = None

    def admits(self, value: object) -> bool:
        """Say whether a value is allowed; a number that is not finite never is."""
        if self.choices is not None:
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return (
            math.isfinite(value)
            and (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
        )

    def __str__(self) -> str:
        """Say in words what is allowed, e.g. 'above 0 and at most 1'."""
        if self.choices is not None:
            return 'one of ' + ', '.join(repr(choice) for choice in self.choices)
        bounds = (('above', self.above), ('at least', self.at_least), ('at most', self.at_most))
        words = [f'{word} {bound:g}' for word, bound in bounds if bound is not None]
        return ' and '.join(words) or 'finite'

    def bounds(self) -> tuple[float, float]:
        """
        Return the smallest and the largest number allowed; infinite where there is no limit.

        An exclusive bound becomes the next double.
        """
        lowest = [] if self.at_least is None else [self.at_least]
        lowest += [] if self.above is None else [math.nextafter(self.above, math.inf)]
        return max(lowest, default=-math.inf), math.inf if self.at_most is None else self.at_most


@dataclass(frozen=True)
class SettingInfo:
    """
    One ROS parameter.

    :param live: whether it may change while a node is configured
    """

    name: str
    default: Any
    doc: str
    limits: SettingLimits
    live: bool = False


def setting(
    default: T,
    doc: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    choices: Sequence[str] | None = None,
    live: bool = False,
) -> T:
    """
    Declare a field of a settings dataclass.

    :param default: bool, int, float, str or a tuple of str
    :param doc: one sentence with the unit
    :param choices: all values allowed, for text
    :param live: whether it may change while a node is configured
    """
    limits = SettingLimits(above, at_least, at_most, None if choices is None else tuple(choices))
    metadata = {'doc': doc, 'limits': limits, 'live': live}
    field: T = dataclasses.field(default=default, metadata=metadata)
    return field


def describe(settings: Any) -> list[SettingInfo]:
    """
    List the settings of a dataclass, type or instance, in order.

    :raises ValueError: on a field that was not made by ``setting``
    """
    return [_describe_field(field) for field in dataclasses.fields(settings)]


def flatten(settings: Any, prefix: str = '') -> Iterator[SettingInfo]:
    """List the settings of an instance in order, those of nested ones with dotted names."""
    for field in dataclasses.fields(settings):
        value, name = getattr(settings, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            yield from flatten(value, f'{name}.')
        else:
            yield dataclasses.replace(_describe_field(field), name=name, default=value)


def unflatten(settings: Any, values: Mapping[str, Any], prefix: str = '') -> Any:
    """Return a copy of an instance with the values of dotted names; types are not checked."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        old, name = getattr(settings, field.name), prefix + field.name
        if dataclasses.is_dataclass(old):
            changes[field.name] = unflatten(old, values, f'{name}.')
        elif name in values:
            changes[field.name] = values[name]
    return dataclasses.replace(settings, **changes)


def check(name: str, value: object, info: SettingInfo) -> None:
    """
    Check one value for its type and range.

    :raises ConfigurationError: naming the setting, its value and what is allowed
    """
    kind = type(info.default)
    if not _is_of(kind, value):
        raise ConfigurationError(f'{name} is {_plain(value)!r}, must be {WORDS[kind]}')
    if not info.limits.admits(value):
        allowed = str(info.limits)
        if isinstance(value, float) and not math.isfinite(value) and allowed != 'finite':
            allowed = f'finite, {allowed}'
        raise ConfigurationError(f'{name} is {value!r}, must be {allowed}')
    if type(value) is int and not INT_MIN <= value <= INT_MAX:
        raise ConfigurationError(f'{name} is {value!r}, must be a number of 32 bits')


def validate(settings: Any, prefix: str = '') -> None:
    """
    Check every setting for its type and range, those of nested settings too.

    :param prefix: put before each name in the error, e.g. 'rules.'
    :raises ConfigurationError: naming the setting, its value and what is allowed
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            validate(value, f'{prefix}{field.name}.')
        else:
            check(prefix + field.name, value, _describe_field(field))


def _describe_field(field: dataclasses.Field[Any]) -> SettingInfo:
    if 'doc' not in field.metadata:
        raise ValueError(f'{field.name} is no setting: declare it with setting()')
    return SettingInfo(field.name, field.default, **field.metadata)


def _is_of(kind: type, value: object) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind is tuple:
        return isinstance(value, tuple) and all(isinstance(entry, str) for entry in value)
    return isinstance(value, int | float if kind is float else kind)


def _plain(value: object) -> object:
    """Give a sequence, of whatever library, as a list."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
