# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import importlib
import inspect
import math
import pkgutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.errors import raises

import viva_ros.core
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import (
    SettingLimits,
    describe,
    flatten,
    required,
    setting,
    setting_of,
    unflatten,
    validate,
)


@dataclass(frozen=True)
class Example:
    window: float = setting(2.0, 'Length of the window, s.', above=0.0, at_most=10.0)
    count: int = setting(3, 'Number of items.', at_least=0)
    mode: str = setting('fast', 'Method.', choices=('fast', 'slow'))
    dry: bool = setting(True, 'Report only.')
    names: tuple[str, ...] = setting((), 'Names.')


@dataclass(frozen=True)
class Outer:
    inner: Example = field(default_factory=Example)


def check_error(code: str, text: str, **changes: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        validate(Example(**changes))  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.text) == (code, text)


def test_defaults_are_valid() -> None:
    validate(Example())
    validate(Outer())


def test_value_out_of_range_is_refused() -> None:
    code = 'setting-out-of-range'
    check_error(code, 'window is 0.0, must be above 0 and at most 10', window=0.0)
    check_error(code, 'window is 11.0, must be above 0 and at most 10', window=11.0)
    check_error(code, 'count is -1, must be at least 0', count=-1)
    check_error(code, "mode is 'medium', must be one of 'fast', 'slow'", mode='medium')


def test_non_finite_number_is_refused() -> None:
    with raises('setting-out-of-range', 'window is nan'):
        validate(Example(window=float('nan')))
    text = 'window is inf, must be finite, above 0 and at most 10'
    check_error('setting-out-of-range', text, window=float('inf'))


def test_value_of_wrong_type_is_refused() -> None:
    code = 'setting-type'
    check_error(code, 'count is 2.5, must be a whole number', count=2.5)
    check_error(code, "window is '2', must be a number", window='2')
    check_error(code, 'window is True, must be a number', window=True)
    check_error(code, 'count is True, must be a whole number', count=True)
    check_error(code, 'dry is 1, must be true or false', dry=1)
    check_error(code, 'names is [1, 2], must be a list of texts', names=(1, 2))
    check_error(code, "names is 'head', must be a list of texts", names='head')


def test_int_is_accepted_for_a_float() -> None:
    validate(Example(window=3))


def test_error_of_a_nested_setting_has_its_path() -> None:
    with raises('setting-out-of-range', 'inner.count', -1):
        validate(Outer(Example(count=-1)))


def test_describe_lists_settings_in_order() -> None:
    rows = [(i.name, i.default, i.doc, str(i.limits)) for i in describe(Example)]
    assert rows[0] == ('window', 2.0, 'Length of the window, s.', 'above 0 and at most 10')
    assert [row[0] for row in rows] == ['window', 'count', 'mode', 'dry', 'names']
    assert rows[3][3] == 'finite' or rows[3][1] is True


def test_bounds_equal_the_admitted_values() -> None:
    limits = SettingLimits(above=0.0, at_most=1.0)
    low, high = limits.bounds()
    assert (low, high) == (math.nextafter(0.0, 1.0), 1.0)
    assert limits.admits(low) and limits.admits(high)
    assert not limits.admits(0.0) and not limits.admits(math.nextafter(high, 2.0))
    assert SettingLimits(at_least=-1.0).bounds() == (-1.0, math.inf)
    assert SettingLimits(above=0.0, at_least=3.0).bounds() == (3.0, math.inf)
    assert SettingLimits().bounds() == (-math.inf, math.inf)
    assert SettingLimits(below=1.0).bounds() == (-math.inf, math.nextafter(1.0, 0.0))
    assert not SettingLimits(below=1.0).admits(1.0)
    assert str(SettingLimits(above=0.0, below=1.0)) == 'above 0 and below 1'


def test_int_beyond_32_bits_is_refused() -> None:
    validate(Example(count=2**31 - 1))
    text = 'count is 2147483648, must be a number of 32 bits'
    check_error('setting-out-of-range', text, count=2**31)


def test_nested_settings_have_dotted_names() -> None:
    rows = {info.name: info.default for info in flatten(Outer(Example(count=5)))}
    assert list(rows)[:2] == ['inner.window', 'inner.count'] and rows['inner.count'] == 5
    assert unflatten(Outer(), {'inner.count': 7}) == Outer(Example(count=7))


@dataclass(frozen=True)
class Paths:
    folder: Path = field(metadata=required('Output folder.'))
    cache: Path | None = setting(None, 'Folder of cached frames.')
    inputs: tuple[Path, ...] = setting((), 'Input files.')
    count: int | None = setting(None, 'Number of items.', at_least=1)


@pytest.mark.parametrize(
    ('changes', 'code', 'text'),
    [
        ({'folder': 'out'}, 'setting-type', "folder is 'out', must be a path"),
        ({'cache': 3}, 'setting-type', 'cache is 3, must be a path'),
        ({'inputs': ('a.mcap',)}, 'setting-type', "inputs is ['a.mcap'], must be a list of paths"),
        ({'count': 0}, 'setting-out-of-range', 'count is 0, must be at least 1'),
        ({'count': 1.5}, 'setting-type', 'count is 1.5, must be a whole number'),
    ],
)
def test_invalid_path_or_optional_setting_is_refused(
    changes: dict[str, object], code: str, text: str
) -> None:
    good = Paths(Path('out'))
    validate(good)
    validate(dataclasses.replace(good, cache=Path('c'), inputs=(Path('a.mcap'),), count=1))
    with raises(code, text):
        validate(dataclasses.replace(good, **changes))  # type: ignore[arg-type]


def test_required_setting_has_no_default() -> None:
    assert setting_of(Paths, 'folder').default is dataclasses.MISSING
    with pytest.raises(ValueError, match="has no field 'colour'"):
        setting_of(Paths, 'colour')


def test_validate_can_skip_nested_settings() -> None:
    outer = Outer(Example(count=-1))
    validate(outer, nested=False)
    with raises('setting-out-of-range', 'inner.count', -1):
        validate(outer)


def test_setting_is_live_only_if_declared() -> None:
    @dataclass(frozen=True)
    class Mixed:
        held: int = setting(1, 'One.')
        free: int = setting(1, 'Another.', live=True)

    assert [info.live for info in describe(Mixed)] == [False, True]


def test_field_without_description_is_refused() -> None:
    @dataclass(frozen=True)
    class Undocumented:
        window: float = 2.0

    with pytest.raises(ValueError, match='window is no setting'):
        describe(Undocumented)


def all_settings() -> list[type]:
    found = []
    for info in pkgutil.walk_packages(viva_ros.core.__path__, 'viva_ros.core.'):
        module = importlib.import_module(info.name)
        for name, thing in inspect.getmembers(module, inspect.isclass):
            if name.endswith('Settings') and thing.__module__ == module.__name__:
                found.append(thing)
    return found


def test_settings_of_core_are_frozen_valid_and_described() -> None:
    names = {cls.__name__ for cls in all_settings()}
    assert names == {
        'AlarmSettings', 'CloudSettings', 'DetectorSettings', 'PictureSettings', 'RetrySettings',
        'RobotSettings', 'RuleSettings', 'SilenceSettings', 'SyncSettings',
    }  # fmt: skip
    for cls in all_settings():
        validate(cls())
        assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
        if cls.__name__ != 'DetectorSettings':
            for info in describe(cls):
                assert info.doc.endswith('.') and len(info.doc) > 15, (cls, info.name)
                if isinstance(info.default, float):
                    assert info.limits != SettingLimits(), (cls, info.name)
