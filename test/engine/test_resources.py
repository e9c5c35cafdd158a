# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.core.errors import ConfigurationError, EngineError
from viva_ros.engine import resources
from viva_ros.engine.manifest import Manifest, write_manifest


def write_engine(folder: Path, manifest: Manifest, tasks: list[str]) -> None:
    folder.mkdir()
    (folder / 'engine.onnx').write_bytes(b'graph')
    digest = hashlib.sha256(b'graph').hexdigest()
    write_manifest(folder, replace(manifest, tasks=tuple(tasks), sha256=digest))


@pytest.fixture
def engines(tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, tasks in (('a', ['cube_transfer']), ('b', ['tray_lift', 'pour'])):
        write_engine(tmp_path / name, manifest, tasks)
    monkeypatch.setattr(resources, 'shared_folder', lambda name: tmp_path)
    return tmp_path


def test_shipped_engine_is_chosen_by_task(engines):
    assert resources.engine_folder('', 'tray_lift') == engines / 'b'
    assert resources.engine_folder('', 'cube_transfer') == engines / 'a'


def test_engine_named_like_the_task_is_preferred(engines, manifest):
    write_engine(engines / 'pour', manifest, ['pour'])
    assert resources.engine_folder('', 'pour') == engines / 'pour'


def test_explicit_engine_path_is_used(engines):
    assert resources.engine_folder('/some/where', 'tray_lift') == Path('/some/where')
    assert resources.engine_folder('~/engine', 'tray_lift') == Path.home() / 'engine'


def test_task_without_engine_is_refused_with_known_tasks(engines):
    tasks = ['cube_transfer', 'pour', 'tray_lift']
    with raises('shipped-engine-missing', engines, "'dance'", *tasks, of=EngineError):
        resources.engine_folder('', 'dance')


def test_unreadable_shipped_description_is_refused(engines):
    (engines / 'a' / 'engine.json').write_text('{')
    with raises('engine-json-text', engines / 'a' / 'engine.json', of=EngineError):
        resources.engine_folder('', 'tray_lift')


def test_shared_folders_are_found():
    assert (resources.shared_folder('config') / 'monitor.yaml').is_file()
    with raises('package-folder-missing', "'nothing'", 'install', of=ConfigurationError):
        resources.shared_folder('nothing')
