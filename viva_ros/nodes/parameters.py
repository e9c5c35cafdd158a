# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
ROS parameters out of settings dataclasses: declared, checked when set, and read back.

A nested dataclass gives dotted names ('sync.slop'). Types and ranges stand in the descriptors, so
that tools show sliders. A value that is refused keeps the old one. A start value (file, command
line) that does not fit does not end the node: ``read`` raises it at configure.
"""

import difflib
import math
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import (
    INT_MAX,
    INT_MIN,
    SettingInfo,
    check,
    flatten,
    unflatten,
    validate,
)
from viva_ros.nodes.settings import RENAMED, SETTINGS

NEAR: Final = 0.8  # of difflib's ratio: a letter missing, wrong or too much
OURS: Final = frozenset(info.name for one in SETTINGS.values() for info in flatten(one))
ELSEWHERE: Final = (
    "if it is a parameter of another node, put it under that node's name, not under '/**'"
)


def refused_names(given: Iterable[str], declared: Collection[str]) -> list[str]:
    """Return an error for each name that must be a slip or that has been renamed."""
    found = []
    for name in sorted(set(given) - set(declared)):
        group = name.partition('.')[0] + '.'
        near = nearest(name, declared)
        if name in RENAMED:
            found.append(f'there is no parameter {name!r} any more: use {RENAMED[name]}')
        elif name in OURS:
            continue
        elif near:
            found.append(f'there is no parameter {name!r}: is {near!r} meant? {ELSEWHERE}')
        elif siblings := [one for one in declared if one.startswith(group)]:
            known = ', '.join(siblings)
            found.append(f'there is no parameter {name!r}, must be one of {known}; {ELSEWHERE}')
    return found


def unrelated_names(given: Iterable[str], declared: Collection[str]) -> list[str]:
    """Return the names that are neither refused nor parameters of one of our other nodes."""
    return [
        name for name in sorted(set(given) - set(declared) - OURS)
        if not refused_names([name], declared)
    ]  # fmt: skip


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is nearly this one; '' if none is."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, NEAR)), '')


Settings = TypeVar('Settings')


class Parameters(Generic[Settings]):
    """The parameters of one node."""

    def __init__(
        self,
        node: Node,
        defaults: Settings,
        check: Callable[[Settings], None] = lambda _: None,
        hold: Callable[[], str] = lambda: '',
        apply: Callable[[Settings], None] = lambda _: None,
    ) -> None:
        """
        Declare them all.

        :param check: raises a ConfigurationError if settings, each valid by itself, do not fit
        :param hold: returns why only live parameters can change now; '' if all can
        :param apply: is called with the new settings after a change that all have accepted
        """
        self._node, self._defaults = node, defaults
        self._check, self._hold, self._apply = check, hold, apply
        self._declared = {info.name: info for info in flatten(defaults)}
        self._live = sorted(info.name for info in self._declared.values() if info.live)
        given = {name: one.value for name, one in node._parameter_overrides.items()}
        self._unfit: dict[str, str] = {}  # why a start value does not fit, by name
        for info in self._declared.values():
            self._declare(info, given)
        others = [name for name in given if not _is_of_rclpy(node, name)]
        self._refused = refused_names(others, self._declared)
        if ignored := unrelated_names(others, self._declared):
            names = ', '.join(map(repr, ignored))
            node.get_logger().warning(f'parameters that this node does not have: {names}')
        node.add_pre_set_parameters_callback(self._convert)
        node.add_on_set_parameters_callback(self._judge)
        node.add_post_set_parameters_callback(self._take)

    def read(self) -> Settings:
        """
        Return the present settings.

        :raises ConfigurationError: naming a start value or a name that does not fit
        """
        unfit = [*self._unfit.values()]
        if self._refused:
            raise ConfigurationError('parameter-unknown', '; '.join([*self._refused, *unfit]))
        if unfit:
            raise ConfigurationError('parameter-invalid', '; '.join(unfit))
        settings: Settings = unflatten(self._defaults, self._values())
        validate(settings)
        return settings

    def _values(self) -> dict[str, Any]:
        return {
            name: _coerce(info.default, self._node.get_parameter(name).value)
            for name, info in self._declared.items()
        }

    def _declare(self, info: SettingInfo, given: dict[str, Any]) -> None:
        """Declare one with the value given at the start, or with its default if that is unfit."""
        value = info.default
        if info.name in given:
            start = _coerce(info.default, given[info.name])
            try:
                check(info.name, start, info)
                value = start
            except ConfigurationError as error:
                quote = isinstance(info.default, str) and not isinstance(start, str)
                self._unfit[info.name] = f'{error}{": put it in quotes" * quote}'
        start = list(value) if isinstance(value, tuple) else value
        self._node.declare_parameter(info.name, start, descriptor(info), ignore_override=True)

    def _convert(self, changes: list[Parameter]) -> list[Parameter]:
        """Take a whole number for a real one, and an empty list for one of texts."""
        return [self._converted(one) for one in changes]

    def _converted(self, change: Parameter) -> Parameter:
        info = self._declared.get(change.name)
        if info is None:
            return change
        value = _coerce(info.default, change.value)
        if type(value) is float:
            return Parameter(change.name, Parameter.Type.DOUBLE, value)
        if value == ('',):
            return Parameter(change.name, Parameter.Type.STRING_ARRAY, [''])
        return change

    def _judge(self, changes: list[Parameter]) -> SetParametersResult:
        ours = {
            one.name: _coerce(self._declared[one.name].default, one.value)
            for one in changes if one.name in self._declared
        }  # fmt: skip
        if not ours:
            return SetParametersResult(successful=True)
        try:
            for name, value in ours.items():  # others may have to be mended after it
                check(name, value, self._declared[name])
            present = self._values()
            self._hold_back([name for name, value in ours.items() if value != present[name]])
            self._check(unflatten(self._defaults, present | ours))
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _hold_back(self, names: Iterable[str]) -> None:
        """Refuse a change that is not live while the node holds what it was configured with."""
        held = sorted(set(names) - set(self._live))
        if held and (reason := self._hold()):
            live = f'; only {", ".join(self._live)} may change now' if self._live else ''
            text = f'{", ".join(held)} cannot change, {reason}{live}'
            raise ConfigurationError('parameter-not-live', text)

    def _take(self, changes: list[Parameter]) -> None:
        ours = [one.name for one in changes if one.name in self._declared]
        for name in ours:
            self._unfit.pop(name, None)
        if ours and not self._unfit and not self._refused:
            self._apply(self.read())


def descriptor(info: SettingInfo) -> ParameterDescriptor:
    """Describe a parameter: a range is closed, and exactly what is accepted."""
    described = ParameterDescriptor(description=info.doc, additional_constraints=constraints(info))
    low, high = info.limits.bounds()
    if type(info.default) is int:
        low, high = math.ceil(max(low, INT_MIN)), math.floor(min(high, INT_MAX))
        described.integer_range = [IntegerRange(from_value=low, to_value=high)]
    elif type(info.default) is float:
        low, high = max(low, -sys.float_info.max), min(high, sys.float_info.max)
        described.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return described


def constraints(info: SettingInfo) -> str:
    """Say in words what a parameter may be, and whether it may change at any time."""
    words = []
    if info.limits.choices is not None or isinstance(info.default, int | float):
        words += [] if isinstance(info.default, bool) else [str(info.limits)]
    if isinstance(info.default, tuple):
        words.append("a list of texts; [''] is the empty list")
    if info.live:
        words.append('may change while configured')
    return '; '.join(words)


def _coerce(default: Any, value: Any) -> Any:
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, tuple):
        if value is None:  # rcl gives an empty list no type
            return ('',)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(value) or ('',)  # a list, or an array of numbers, which is refused then
    return value


def _is_of_rclpy(node: Node, name: str) -> bool:
    """Return whether a name is one that every node of rclpy has."""
    return node.has_parameter(name) or name.startswith('qos_overrides.')
