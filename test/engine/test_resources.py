# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
from pathlib import Path

import pytest

from viva_ros.core.errors import ConfigurationError, EngineError
from viva_ros.engine import resources as shipped


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, tasks in (('a', ['cube_transfer']), ('b', ['tray_lift', 'pour'])):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'engine.json').write_text(json.dumps({'tasks': tasks}))
    monkeypatch.setattr(shipped, 'shared_folder', lambda name: tmp_path)
    return tmp_path


def test_the_shipped_engine_is_the_one_that_is_for_the_task(engines):
    assert shipped.engine_folder('', 'tray_lift') == engines / 'b'
    assert shipped.engine_folder('', 'cube_transfer') == engines / 'a'


def test_of_two_engines_for_a_task_the_one_of_its_name_is_taken(engines):
    (engines / 'pour').mkdir()
    (engines / 'pour' / 'engine.json').write_text(json.dumps({'tasks': ['pour']}))
    assert shipped.engine_folder('', 'pour') == engines / 'pour'


def test_a_given_engine_is_taken_whatever_it_is(engines):
    assert shipped.engine_folder('/some/where', 'tray_lift') == Path('/some/where')
    assert shipped.engine_folder('~/engine', 'tray_lift') == Path.home() / 'engine'


def test_a_task_without_engine_is_refused_naming_those_with_one(engines):
    with pytest.raises(EngineError, match=r"'dance'.*cube_transfer.*pour.*tray_lift"):
        shipped.engine_folder('', 'dance')


def test_an_unreadable_description_is_refused(engines):
    (engines / 'a' / 'engine.json').write_text('{')
    with pytest.raises(EngineError, match='cannot be read'):
        shipped.engine_folder('', 'tray_lift')


def test_the_shared_folders_are_found():
    assert (shipped.shared_folder('config') / 'monitor.yaml').is_file()
    with pytest.raises(ConfigurationError, match="folder 'nothing' is none of"):
        shipped.shared_folder('nothing')
