# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Declare, check and read ROS parameters from settings dataclasses.

A nested dataclass gives dotted names ('sync.slop'). The descriptors have types and ranges, so that
tools show sliders. After a rejected change the old value stays. An invalid start value (file,
command line) does not end the node: ``read`` raises it at configure.
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

NEAR: Final = 0.8  # ratio of difflib: one letter missing, wrong or extra
OURS: Final = frozenset(info.name for one in SETTINGS.values() for info in flatten(one))
ELSEWHERE: Final = "write a parameter of another node under that node's name, not under '/**'"


def refused_names(given: Iterable[str], declared: Collection[str]) -> list[str]:
    """Return an error for each name that is misspelt or renamed."""
    found = []
    for name in sorted(set(given) - set(declared)):
        group = name.partition('.')[0] + '.'
        near = nearest(name, declared)
        if name in RENAMED:
            found.append(f'parameter {name!r} was removed: use {RENAMED[name]}')
        elif name in OURS:
            continue
        elif near:
            found.append(f'there is no parameter {name!r}: is {near!r} meant? {ELSEWHERE}')
        elif siblings := [one for one in declared if one.startswith(group)]:
            known = ', '.join(siblings)
            found.append(f'there is no parameter {name!r}, must be one of {known}; {ELSEWHERE}')
    return found


def unrelated_names(given: Iterable[str], declared: Collection[str]) -> list[str]:
    """Return the names that are neither misspelt nor parameters of any viva_ros node."""
    return [
        name for name in sorted(set(given) - set(declared) - OURS)
        if not refused_names([name], declared)
    ]  # fmt: skip


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the most similar known name; '' if none is similar."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, NEAR)), '')


Settings = TypeVar('Settings')


class Parameters(Generic[Settings]):
    """The parameters of one node."""

    def __init__(
        self,
        node: Node,
        defaults: Settings,
        check: Callable[[Settings], None] = lambda _: None,
        lock_reason: Callable[[], str] = lambda: '',
        apply: Callable[[Settings], None] = lambda _: None,
    ) -> None:
        """
        Declare all parameters.

        :param check: checks settings that depend on each other; raises ConfigurationError
        :param lock_reason: returns why only live parameters can change now; '' if all can
        :param apply: called with the new settings after an accepted change
        """
        self._node, self._defaults = node, defaults
        self._check, self._lock_reason, self._apply = check, lock_reason, apply
        self._declared = {info.name: info for info in flatten(defaults)}
        self._live = sorted(info.name for info in self._declared.values() if info.live)
        given = {name: one.value for name, one in node._parameter_overrides.items()}
        self._invalid: dict[str, str] = {}  # error of a start value, by name
        for info in self._declared.values():
            self._declare(info, given)
        others = [name for name in given if not _is_of_rclpy(node, name)]
        self._unknown = refused_names(others, self._declared)
        if ignored := unrelated_names(others, self._declared):
            names = ', '.join(map(repr, ignored))
            node.get_logger().warning(f'parameters that this node does not have: {names}')
        node.add_pre_set_parameters_callback(self._convert)
        node.add_on_set_parameters_callback(self._validate_changes)
        node.add_post_set_parameters_callback(self._apply_changes)

    def read(self) -> Settings:
        """
        Return the current settings.

        :raises ConfigurationError: naming all unknown names and invalid start values
        """
        invalid = [*self._invalid.values()]
        if self._unknown:
            raise ConfigurationError('parameter-unknown', '; '.join([*self._unknown, *invalid]))
        if invalid:
            raise ConfigurationError('parameter-invalid', '; '.join(invalid))
        settings: Settings = unflatten(self._defaults, self._values())
        validate(settings)
        return settings

    def _values(self) -> dict[str, Any]:
        return {
            name: _coerce(info.default, self._node.get_parameter(name).value)
            for name, info in self._declared.items()
        }

    def _declare(self, info: SettingInfo, given: dict[str, Any]) -> None:
        """Declare a parameter with its start value, or with its default if that is invalid."""
        value = info.default
        if info.name in given:
            start = _coerce(info.default, given[info.name])
            try:
                check(info.name, start, info)
                value = start
            except ConfigurationError as error:
                quote = isinstance(info.default, str) and not isinstance(start, str)
                self._invalid[info.name] = f'{error}{": put it in quotes" * quote}'
        start = list(value) if isinstance(value, tuple) else value
        self._node.declare_parameter(info.name, start, descriptor(info), ignore_override=True)

    def _convert(self, changes: list[Parameter]) -> list[Parameter]:
        """Convert integers to floats where needed, and untyped empty lists to lists of texts."""
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

    def _validate_changes(self, changes: list[Parameter]) -> SetParametersResult:
        ours = {
            one.name: _coerce(self._declared[one.name].default, one.value)
            for one in changes if one.name in self._declared
        }  # fmt: skip
        if not ours:
            return SetParametersResult(successful=True)
        try:
            for name, value in ours.items():  # others may still be invalid
                check(name, value, self._declared[name])
            present = self._values()
            self._check_live([name for name, value in ours.items() if value != present[name]])
            self._check(unflatten(self._defaults, present | ours))
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _check_live(self, names: Iterable[str]) -> None:
        """Reject a change of a parameter that is not live while the node is configured."""
        held = sorted(set(names) - set(self._live))
        if held and (reason := self._lock_reason()):
            live = f'; only {", ".join(self._live)} may change now' if self._live else ''
            text = f'{", ".join(held)} cannot change, {reason}{live}'
            raise ConfigurationError('parameter-not-live', text)

    def _apply_changes(self, changes: list[Parameter]) -> None:
        ours = [one.name for one in changes if one.name in self._declared]
        for name in ours:
            self._invalid.pop(name, None)
        if ours and not self._invalid and not self._unknown:
            self._apply(self.read())


def descriptor(info: SettingInfo) -> ParameterDescriptor:
    """Return the descriptor of a parameter; its closed range is exactly the valid one."""
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
    """Return the constraints of a parameter as a text."""
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
            return tuple(value) or ('',)  # an array of numbers is rejected later
    return value


def _is_of_rclpy(node: Node, name: str) -> bool:
    """Return whether a parameter belongs to every node of rclpy."""
    return node.has_parameter(name) or name.startswith('qos_overrides.')
