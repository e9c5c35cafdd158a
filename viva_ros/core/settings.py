# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Settings are frozen dataclasses: a field declares default, unit, range and description once.

ROS parameters, command-line options and their checks are generated from these fields.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, get_args, get_origin

from viva_ros.core.errors import ConfigurationError

WORDS: Final[dict[type, str]] = {
    bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text',
    Path: 'a path',
}  # fmt: skip
LISTS: Final[dict[type, str]] = {str: 'a list of texts', Path: 'a list of paths'}

#: Bounds of whole numbers: the range of a slider in rqt.
INT_MIN: Final = -(2**31)
INT_MAX: Final = 2**31 - 1

T = TypeVar('T')


@dataclass(frozen=True)
class SettingLimits:
    """Allowed values of a setting; None: no such limit."""

    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    choices: tuple[str, ...] | None = None
    below: float | None = None

    def admits(self, value: object) -> bool:
        """Return whether a value is allowed; NaN and infinity never are."""
        if self.choices is not None:
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return (
            (isinstance(value, int) or math.isfinite(value))  # a huge integer is no float
            and (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """Return the limits in words, e.g. 'above 0 and at most 1'."""
        if self.choices is not None:
            return 'one of ' + ', '.join(repr(choice) for choice in self.choices)
        bounds = (
            ('above', self.above), ('at least', self.at_least), ('at most', self.at_most),
            ('below', self.below),
        )  # fmt: skip
        words = [f'{word} {bound:g}' for word, bound in bounds if bound is not None]
        return ' and '.join(words) or 'finite'

    def bounds(self) -> tuple[float, float]:
        """
        Return the smallest and the largest number allowed; infinite without a limit.

        An exclusive bound becomes the next double.
        """
        lowest = [] if self.at_least is None else [self.at_least]
        lowest += [] if self.above is None else [math.nextafter(self.above, math.inf)]
        highest = [] if self.at_most is None else [self.at_most]
        highest += [] if self.below is None else [math.nextafter(self.below, -math.inf)]
        return max(lowest, default=-math.inf), min(highest, default=math.inf)


@dataclass(frozen=True)
class SettingInfo:
    """
    One ROS parameter, or one option of a command.

    :param default: ``dataclasses.MISSING`` if a value is required
    :param live: whether it may change while a node is configured
    :param kind: bool, int, float, str, Path or tuple
    :param entry: kind of the entries of a tuple: str or Path
    :param optional: whether it may be None
    """

    name: str
    default: Any
    doc: str
    limits: SettingLimits
    live: bool = False
    kind: type = str
    entry: type = str
    optional: bool = False


def setting(
    default: T,
    doc: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    choices: Sequence[str] | None = None,
    live: bool = False,
) -> T:
    """
    Declare a field of a settings dataclass.

    :param default: bool, int, float, str or a tuple of str; options of commands: also None, a Path
        or a tuple of Path
    :param doc: one sentence with the unit
    :param choices: all values allowed, for text
    :param live: whether it may change while a node is configured
    """
    limits = SettingLimits(
        above, at_least, at_most, None if choices is None else tuple(choices), below
    )
    metadata = {'doc': doc, 'limits': limits, 'live': live}
    field: T = dataclasses.field(default=default, metadata=metadata)
    return field


def required(
    doc: str, *, at_least: float | None = None, above: float | None = None
) -> dict[str, Any]:
    """
    Return the metadata of a setting without a default, for ``dataclasses.field``.

    :param doc: one sentence with the unit
    """
    return {'doc': doc, 'limits': SettingLimits(above, at_least), 'live': False}


def describe(settings: Any) -> list[SettingInfo]:
    """
    List the settings of a dataclass, type or instance, in order.

    :raises ValueError: on a field that was not made by ``setting``
    """
    return [_describe_field(field) for field in dataclasses.fields(settings)]


def setting_of(settings: Any, name: str) -> SettingInfo:
    """
    Return one setting of a dataclass, type or instance.

    :raises ValueError: on a field that was not made by ``setting``, or does not exist
    """
    for field in dataclasses.fields(settings):
        if field.name == name:
            return _describe_field(field)
    raise ValueError(f'{settings} has no field {name!r}')


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
    if value is None and info.optional:
        return
    if not _is_of(info, value):
        allowed = LISTS[info.entry] if info.kind is tuple else WORDS[info.kind]
        raise ConfigurationError('setting-type', f'{name} is {_plain(value)!r}, must be {allowed}')
    if not info.limits.admits(value):
        allowed = str(info.limits)
        if isinstance(value, float) and not math.isfinite(value) and allowed != 'finite':
            allowed = f'finite, {allowed}'
        raise ConfigurationError('setting-out-of-range', f'{name} is {value!r}, must be {allowed}')
    if type(value) is int and not INT_MIN <= value <= INT_MAX:
        raise ConfigurationError(
            'setting-out-of-range', f'{name} is {value!r}, must be a number of 32 bits'
        )


def validate(settings: Any, prefix: str = '', *, nested: bool = True) -> None:
    """
    Check every setting for its type and range, those of nested settings too.

    :param prefix: put before each name in the error, e.g. 'rules.'
    :param nested: False skips nested settings, which check themselves when they are made
    :raises ConfigurationError: naming the setting, its value and what is allowed
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            if nested:
                validate(value, f'{prefix}{field.name}.')
        else:
            check(prefix + field.name, value, _describe_field(field))


def _describe_field(field: dataclasses.Field[Any]) -> SettingInfo:
    if 'doc' not in field.metadata:
        raise ValueError(f'{field.name} is no setting: declare it with setting()')
    kind, entry, optional = _kinds(field.type)
    return SettingInfo(
        field.name, field.default, **field.metadata, kind=kind, entry=entry, optional=optional
    )


def _kinds(annotation: Any) -> tuple[type, type, bool]:
    """Return the kind, the kind of the entries of a tuple, and whether None is allowed."""
    optional = isinstance(annotation, UnionType)
    if optional:
        annotation = next(part for part in get_args(annotation) if part is not NoneType)
    return get_origin(annotation) or annotation, (*get_args(annotation), str)[0], optional


def _is_of(info: SettingInfo, value: object) -> bool:
    if isinstance(value, bool) or info.kind is bool:
        return isinstance(value, bool) and info.kind is bool
    if info.kind is tuple:
        return isinstance(value, tuple) and all(isinstance(one, info.entry) for one in value)
    return isinstance(value, int | float if info.kind is float else info.kind)


def _plain(value: object) -> object:
    """Return a sequence of any library as a list."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
