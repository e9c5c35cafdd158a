# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every refusal of an engine, with its reason and what mends it."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from viva_ros.core.errors import EngineError
from viva_ros.engine import manifest as trust
from viva_ros.engine.backends import tensorrt
from viva_ros.engine.backends.cuda import Device
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import Manifest

MakeEngine = Callable[..., Path]
ORIN = Device('Orin', '8.7', 64 << 30, '12.6')
SOMEBODY = 12345


@pytest.mark.parametrize('name', ['engine.onnx', 'engine.json', '.'])
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file away')
def test_a_file_of_another_user_is_refused(make_engine: MakeEngine, name: str) -> None:
    folder = make_engine()
    os.chown(folder / name, SOMEBODY, -1)
    with pytest.raises(EngineError, match=r'belongs to user 12345, must be yours .*sudo chown'):
        load(folder, 'lift')


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file away')
def test_a_file_that_another_group_may_write_is_refused(make_engine: MakeEngine) -> None:
    folder = make_engine()
    path = folder / 'engine.onnx'
    os.chown(path, -1, SOMEBODY)
    path.chmod(0o664)
    with pytest.raises(EngineError, match=f"by a group: run 'chmod g-w {path}'"):
        load(folder, 'lift')
    path.chmod(0o644)
    load(folder, 'lift')


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can become another user')
def test_root_s_files_are_trusted_by_others(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_engine()
    monkeypatch.setattr(trust.os, 'geteuid', lambda: SOMEBODY)
    trust.check_file(folder / 'engine.onnx')


def test_an_engine_that_was_never_compared_is_refused(make_engine: MakeEngine) -> None:
    with pytest.raises(EngineError, match="never compared with PyTorch: run 'viva export FOLDER"):
        load(make_engine(parity=float('nan')), 'lift')


@pytest.mark.parametrize('name', ['../engine.onnx', '/etc/passwd', 'a/b'])
def test_a_file_outside_of_the_folder_is_refused(make_engine: MakeEngine, name: str) -> None:
    with pytest.raises(EngineError, match='is outside of the folder'):
        load(make_engine(file=name), 'lift')


@pytest.mark.parametrize('kind', ['tensorrt', 'tensorrt_rtx'])
def test_a_graph_asked_for_as_a_compiled_engine_is_refused(
    make_engine: MakeEngine, kind: str
) -> None:
    with pytest.raises(EngineError, match=f'for onnx, asked for {kind}: .*viva export .*{kind}'):
        load(make_engine(), 'lift', kind)


def test_a_compiled_engine_asked_for_as_a_graph_is_refused(make_engine: MakeEngine) -> None:
    folder = make_engine(kind='tensorrt', runs=('tensorrt',))
    for kind in ('onnx', 'openvino'):
        if kind == 'openvino':
            pytest.importorskip('openvino')
        with pytest.raises(EngineError, match=f'is an engine for tensorrt, asked for {kind}'):
            load(folder, 'lift', kind)


def test_a_compiled_engine_without_a_gpu_is_refused_before_its_library_is_touched(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_engine(kind='tensorrt', runs=('tensorrt',), gpu={'capabilities': ['8.7']})
    monkeypatch.setattr(
        tensorrt.cuda, 'probe', lambda: tensorrt.cuda.Probe(None, 'no GPU can be used')
    )
    monkeypatch.setattr(tensorrt, 'import_library', lambda kind: pytest.fail('was imported'))
    with pytest.raises(EngineError, match='is for a GPU: no GPU can be used'):
        load(folder, 'lift')


@pytest.mark.parametrize(('gpu', 'reason'), [
    ({'capabilities': ['9.0'], 'name': 'H200'},
     r'engine is for sm_90 \(H200\), this GPU is sm_87 \(Orin\): run .viva export'),
    ({'capabilities': ['8.6', '8.9']}, 'for sm_86 and sm_89, this GPU is sm_87'),
    ({'capabilities': ['8.7'], 'name': 'Orin Nano'}, r'sm_87 \(Orin Nano\), this GPU is sm_87'),
    ({}, 'engine is for no GPU'),
])  # fmt: skip
def test_an_engine_for_another_gpu_is_refused(manifest: Manifest, gpu: dict, reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        tensorrt.check_gpu(replace(manifest, gpu=gpu), ORIN)


def test_an_engine_for_this_gpu_is_taken(manifest: Manifest) -> None:
    tensorrt.check_gpu(replace(manifest, gpu={'capabilities': ['8.6', '8.7']}), ORIN)
    tensorrt.check_gpu(replace(manifest, gpu={'capabilities': ['8.7'], 'name': 'Orin'}), ORIN)


def test_an_engine_of_another_version_is_refused(manifest: Manifest) -> None:
    made = replace(manifest, kind='tensorrt', libraries={'tensorrt': '10.3.0'})
    tensorrt.check_version(made, 'tensorrt', '10.3.0')
    with pytest.raises(EngineError, match=r'of tensorrt 10\.3\.0, installed is 11\.4\.0: run'):
        tensorrt.check_version(made, 'tensorrt', '11.4.0')


def test_a_place_to_build_must_be_closed_to_others(tmp_path: Path) -> None:
    trust.check_building_place(tmp_path / 'a' / 'b')
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a').chmod(0o777)
    with pytest.raises(EngineError, match=r"give a folder of your own, such as '~/engines/b'"):
        trust.check_building_place(tmp_path / 'a' / 'b')
