# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from viva_ros.core.errors import EngineError
from viva_ros.engine import factory
from viva_ros.engine.backend import BACKENDS, kinds
from viva_ros.engine.factory import load

MakeEngine = Callable[..., Path]


def installed(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    monkeypatch.setattr(factory, 'is_installed', lambda kind: kind in kinds)


def test_each_backend_has_loader_and_builder() -> None:
    assert kinds() == ('auto', 'onnx', 'openvino', 'tensorrt', 'tensorrt_rtx', 'pytorch')
    for backend in BACKENDS.values():
        assert callable(backend.load)
        module, name = backend.builder.split(':')
        assert callable(getattr(import_module(module), name))
        assert backend.precisions[0] == 'float32'


def test_first_installed_kind_is_chosen_and_missing_named(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_engine(runs=('openvino', 'onnx'), kind='openvino')
    installed(monkeypatch, 'onnx', 'openvino')
    assert factory.choose(folder).kind == 'openvino'
    installed(monkeypatch, 'onnx')
    found = factory.choose(folder)
    assert found.kind == 'onnx'
    assert 'openvino not installed' in found.why
    engine = load(folder, 'lift')
    assert engine.info.kind == 'onnx'
    assert engine.info.why == found.why


def test_gpu_engine_is_never_replaced_by_another_kind(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, 'onnx', 'openvino', 'pytorch')
    folder = make_engine(kind='tensorrt', runs=('tensorrt',))
    assert factory.choose(folder).kind == 'tensorrt'
    with pytest.raises(EngineError):
        load(folder, 'lift')


def test_checkpoint_alone_is_run_by_pytorch(tmp_path: Path) -> None:
    (tmp_path / 'model.json').write_text('{}')
    assert factory.choose(tmp_path).kind == 'pytorch'


def test_requested_kind_is_chosen(make_engine: MakeEngine) -> None:
    chosen = factory.choose(make_engine(), 'openvino')
    assert chosen == factory.BackendChoice('openvino', 'requested')


def test_without_installed_kind_onnx_is_chosen(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch)
    folder = make_engine(runs=('openvino', 'onnx'), kind='openvino')
    assert factory.choose(folder).kind == 'onnx'
    assert factory.choose(make_engine(kind='tensorrt', runs=('tensorrt',))).kind == 'tensorrt'
