# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Imports of modules by their former names."""

from importlib import import_module

import pytest

from viva_ros import MOVED


@pytest.mark.parametrize(
    ('name', 'new'),
    [
        ('viva_ros.offline', 'training'),
        ('viva_ros.offline.episodes', 'scoring'),
        ('viva_ros.runtime.engine', 'engine'),
    ],
)
def test_former_module_name_raises_error_with_new_name(name: str, new: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=new) as caught:
        import_module(name)
    assert name.startswith(str(caught.value.name))


def test_moved_packages_are_in_the_package() -> None:
    for new in MOVED.values():
        for package in new.replace(' and', ',').split(', '):
            import_module(f'viva_ros.{package}')


def test_other_unknown_module_raises_the_error_of_python() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'viva_ros\.offlime'"):
        import_module('viva_ros.offlime')
