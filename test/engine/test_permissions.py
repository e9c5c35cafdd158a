# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each refusal of an engine, with its reason and remedy."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.engine.backends import tensorrt
from viva_ros.engine.backends.cuda import Device
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import EngineFolder, Manifest, check_building_place

MakeEngine = Callable[..., Path]
ORIN = Device('Orin', '8.7', 64 << 30, '12.6')
OTHER_USER = 12345


@pytest.mark.parametrize('name', ['engine.onnx', 'engine.json', '.'])
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file away')
def test_file_of_other_user_is_refused(make_engine: MakeEngine, name: str) -> None:
    folder = make_engine()
    os.chown(folder / name, OTHER_USER, -1)
    with raises('file-owner', 'user 12345', os.geteuid(), f'sudo chown {os.geteuid()} {folder}'):
        load(folder, 'lift')


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file away')
def test_group_writable_file_is_refused(make_engine: MakeEngine) -> None:
    folder = make_engine()
    path = folder / 'engine.onnx'
    os.chown(path, -1, OTHER_USER)
    path.chmod(0o664)
    with raises('file-group-writable', f"'chmod g-w {path}'"):
        load(folder, 'lift')
    path.chmod(0o644)
    load(folder, 'lift')


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can become another user')
def test_files_of_root_are_trusted(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_engine()
    monkeypatch.setattr(os, 'geteuid', lambda: OTHER_USER)
    EngineFolder(folder).open('engine.onnx').close()


def test_unmeasured_engine_is_refused(make_engine: MakeEngine) -> None:
    with raises('engine-unmeasured', 'viva export FOLDER --measure'):
        load(make_engine(parity=float('nan')), 'lift')


@pytest.mark.parametrize('name', ['../engine.onnx', '/etc/passwd', 'a/b'])
def test_file_outside_the_folder_is_refused(make_engine: MakeEngine, name: str) -> None:
    folder = make_engine(file=name)
    with raises('engine-json-invalid', folder / 'engine.json', name):
        load(folder, 'lift')


@pytest.mark.parametrize('kind', ['tensorrt', 'tensorrt_rtx'])
def test_graph_is_refused_by_tensorrt(make_engine: MakeEngine, kind: str) -> None:
    folder = make_engine()
    with raises(
        'engine-kind', 'for onnx', f'not for {kind}', f'viva export {folder} --engine {kind}'
    ):
        load(folder, 'lift', kind)


def test_compiled_engine_is_refused_by_graph_backends(make_engine: MakeEngine) -> None:
    folder = make_engine(kind='tensorrt', runs=('tensorrt',))
    for kind in ('onnx', 'openvino'):
        if kind == 'openvino':
            pytest.importorskip('openvino')
        with raises('engine-kind', folder, 'for tensorrt', f'not for {kind}'):
            load(folder, 'lift', kind)


def test_compiled_engine_without_gpu_is_refused_before_import(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_engine(kind='tensorrt', runs=('tensorrt',), gpu={'capabilities': ['8.7']})
    monkeypatch.setattr(
        tensorrt.cuda, 'probe', lambda: tensorrt.cuda.Probe(None, 'no GPU can be used')
    )
    monkeypatch.setattr(tensorrt, 'import_library', lambda kind: pytest.fail('was imported'))
    with raises('engine-needs-gpu', folder, 'no GPU can be used'):
        load(folder, 'lift')


@pytest.mark.parametrize(('gpu', 'target'), [
    ({'capabilities': ['9.0'], 'name': 'H200'}, 'sm_90 (H200)'),
    ({'capabilities': ['8.6', '8.9']}, 'sm_86 and sm_89'),
    ({'capabilities': ['8.7'], 'name': 'Orin Nano'}, 'sm_87 (Orin Nano)'),
    ({}, 'no GPU'),
])  # fmt: skip
def test_engine_for_other_gpu_is_refused(manifest: Manifest, gpu: dict, target: str) -> None:
    with raises('engine-gpu', target, 'sm_87 (Orin)', 'viva export'):
        tensorrt.check_gpu(replace(manifest, gpu=gpu), ORIN)


def test_engine_for_this_gpu_is_accepted(manifest: Manifest) -> None:
    tensorrt.check_gpu(replace(manifest, gpu={'capabilities': ['8.6', '8.7']}), ORIN)
    tensorrt.check_gpu(replace(manifest, gpu={'capabilities': ['8.7'], 'name': 'Orin'}), ORIN)


def test_engine_of_other_library_version_is_refused(manifest: Manifest) -> None:
    made = replace(manifest, kind='tensorrt', libraries={'tensorrt': '10.3.0'})
    tensorrt.check_version(made, 'tensorrt', '10.3.0')
    with raises('engine-library-version', 'tensorrt 10.3.0', '11.4.0', 'viva export'):
        tensorrt.check_version(made, 'tensorrt', '11.4.0')


@pytest.mark.parametrize('kind', ['tensorrt', 'tensorrt_rtx'])
def test_missing_tensorrt_is_named_with_remedy(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setitem(sys.modules, kind, None)
    with raises('tensorrt-missing', kind, 'install'):
        tensorrt.import_library(kind)


def test_build_folder_must_not_be_writable_by_others(tmp_path: Path) -> None:
    check_building_place(tmp_path / 'a' / 'b')
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a').chmod(0o777)
    with raises('build-folder-writable', tmp_path / 'a', "'~/engines/b'"):
        check_building_place(tmp_path / 'a' / 'b')
