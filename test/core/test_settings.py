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
    window: float = setting(2.0, 'Span looked back over, s.', above=0.0, at_most=10.0)
    count: int = setting(3, 'How many.', at_least=0)
    mode: str = setting('fast', 'How.', choices=('fast', 'slow'))
    dry: bool = setting(True, 'Whether not to act.')
    names: tuple[str, ...] = setting((), 'Which.')


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


def test_an_error_names_the_setting_its_value_and_what_is_allowed() -> None:
    code = 'setting-out-of-range'
    check_error(code, 'window is 0.0, must be above 0 and at most 10', window=0.0)
    check_error(code, 'window is 11.0, must be above 0 and at most 10', window=11.0)
    check_error(code, 'count is -1, must be at least 0', count=-1)
    check_error(code, "mode is 'medium', must be one of 'fast', 'slow'", mode='medium')


def test_numbers_that_are_not_finite_are_refused() -> None:
    with raises('setting-out-of-range', 'window is nan'):
        validate(Example(window=float('nan')))
    text = 'window is inf, must be finite, above 0 and at most 10'
    check_error('setting-out-of-range', text, window=float('inf'))


def test_a_wrong_type_is_refused_by_name() -> None:
    code = 'setting-type'
    check_error(code, 'count is 2.5, must be a whole number', count=2.5)
    check_error(code, "window is '2', must be a number", window='2')
    check_error(code, 'window is True, must be a number', window=True)
    check_error(code, 'count is True, must be a whole number', count=True)
    check_error(code, 'dry is 1, must be true or false', dry=1)
    check_error(code, 'names is [1, 2], must be a list of texts', names=(1, 2))
    check_error(code, "names is 'head', must be a list of texts", names='head')


def test_a_whole_number_will_do_for_a_float() -> None:
    validate(Example(window=3))


def test_the_error_of_a_nested_setting_gives_its_path() -> None:
    with raises('setting-out-of-range', 'inner.count', -1):
        validate(Outer(Example(count=-1)))


def test_describe_lists_name_default_sentence_and_limits_in_order() -> None:
    rows = [(i.name, i.default, i.doc, str(i.limits)) for i in describe(Example)]
    assert rows[0] == ('window', 2.0, 'Span looked back over, s.', 'above 0 and at most 10')
    assert [row[0] for row in rows] == ['window', 'count', 'mode', 'dry', 'names']
    assert rows[3][3] == 'finite' or rows[3][1] is True


def test_bounds_are_closed_and_admit_exactly_what_the_limits_do() -> None:
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


def test_a_whole_number_has_32_bits() -> None:
    validate(Example(count=2**31 - 1))
    text = 'count is 2147483648, must be a number of 32 bits'
    check_error('setting-out-of-range', text, count=2**31)


def test_nested_settings_are_listed_and_replaced_by_dotted_names() -> None:
    rows = {info.name: info.default for info in flatten(Outer(Example(count=5)))}
    assert list(rows)[:2] == ['inner.window', 'inner.count'] and rows['inner.count'] == 5
    assert unflatten(Outer(), {'inner.count': 7}) == Outer(Example(count=7))


@dataclass(frozen=True)
class Paths:
    folder: Path = field(metadata=required('Where to write.'))
    cache: Path | None = setting(None, 'Where to keep frames.')
    inputs: tuple[Path, ...] = setting((), 'What to read.')
    count: int | None = setting(None, 'How many.', at_least=1)


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
def test_paths_and_optional_settings_are_checked(
    changes: dict[str, object], code: str, text: str
) -> None:
    good = Paths(Path('out'))
    validate(good)
    validate(dataclasses.replace(good, cache=Path('c'), inputs=(Path('a.mcap'),), count=1))
    with raises(code, text):
        validate(dataclasses.replace(good, **changes))  # type: ignore[arg-type]


def test_a_required_setting_has_no_default() -> None:
    assert setting_of(Paths, 'folder').default is dataclasses.MISSING
    with pytest.raises(ValueError, match="has no field 'colour'"):
        setting_of(Paths, 'colour')


def test_nested_settings_can_be_left_unchecked() -> None:
    outer = Outer(Example(count=-1))
    validate(outer, nested=False)
    with raises('setting-out-of-range', 'inner.count', -1):
        validate(outer)


def test_a_setting_may_change_while_a_node_is_configured_only_if_it_says_so() -> None:
    @dataclass(frozen=True)
    class Mixed:
        held: int = setting(1, 'One.')
        free: int = setting(1, 'Another.', live=True)

    assert [info.live for info in describe(Mixed)] == [False, True]


def test_a_field_without_a_sentence_is_no_setting() -> None:
    @dataclass(frozen=True)
    class Careless:
        window: float = 2.0

    with pytest.raises(ValueError, match='window is no setting'):
        describe(Careless)


def all_settings() -> list[type]:
    found = []
    for info in pkgutil.walk_packages(viva_ros.core.__path__, 'viva_ros.core.'):
        module = importlib.import_module(info.name)
        for name, thing in inspect.getmembers(module, inspect.isclass):
            if name.endswith('Settings') and thing.__module__ == module.__name__:
                found.append(thing)
    return found


def test_every_settings_class_of_the_core_is_frozen_valid_and_says_its_unit() -> None:
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
