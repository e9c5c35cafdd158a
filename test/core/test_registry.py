# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from pathlib import Path

import pytest
from support.added_package import write_package
from support.errors import raises

from viva_ros.core.registry import Registry


@pytest.fixture
def constants() -> Registry[float]:
    return Registry('constant', 'viva_ros.test_constants', {'pi': 'math:pi', 'e': 'math:e'})


def test_objects_are_imported_by_name_in_order(constants: Registry[float]) -> None:
    assert constants.names() == ('pi', 'e') and 'pi' in constants
    assert constants['pi'] == math.pi
    assert list(constants.values()) == [math.pi, math.e]


def test_added_object_is_listed_until_it_is_removed(constants: Registry[float]) -> None:
    constants.add('two', 2.0)
    assert constants['two'] == 2.0 and tuple(constants) == ('pi', 'e', 'two')
    constants.remove('two')
    assert 'two' not in constants


def test_unknown_name_is_refused_with_known_names(constants: Registry[float]) -> None:
    with raises('registry-name-unknown', "constant is 'tau'", 'pi, e'):
        constants['tau']


def test_duplicate_name_is_refused(constants: Registry[float]) -> None:
    with raises('registry-name-duplicate', "constant 'pi'", 'viva_ros.test_constants'):
        constants.add('pi', 3.0)


@pytest.mark.parametrize('code', ['import no_such_module\n', 'raise RuntimeError("boom")\n', ''])
def test_broken_entry_point_names_package_and_remedy(
    constants: Registry[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    write_package(
        tmp_path, 'broken_constants', constants.group, 'tau = broken_constants:TAU', code
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert constants['pi'] == math.pi
    named = "constant 'tau'", 'package broken_constants', 'pip uninstall broken_constants'
    with raises('registry-entry-point-broken', *named, constants.group):
        constants['tau']


def test_duplicate_entry_point_is_refused_each_time(
    constants: Registry[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_package(tmp_path, 'pi_again', constants.group, 'pi = math:pi')
    monkeypatch.syspath_prepend(str(tmp_path))
    for _ in range(2):
        with raises('registry-name-duplicate', "constant 'pi'"):
            constants.names()
