# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from viva_ros.core.errors import EngineError
from viva_ros.engine import factory as choice
from viva_ros.engine.backend import BACKENDS, kinds
from viva_ros.engine.factory import load

MakeEngine = Callable[..., Path]


def installed(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    monkeypatch.setattr(choice, 'is_installed', lambda kind: kind in kinds)


def test_every_backend_declares_how_it_is_loaded_and_built() -> None:
    assert kinds() == ('auto', 'onnx', 'openvino', 'tensorrt', 'tensorrt_rtx', 'pytorch')
    for backend in BACKENDS.values():
        assert callable(backend.load)
        module, name = backend.builder.split(':')
        assert callable(getattr(import_module(module), name))
        assert backend.precisions[0] == 'float32'


def test_the_first_that_is_there_is_taken_and_what_is_missing_told(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_engine(runs=('openvino', 'onnx'), kind='openvino')
    installed(monkeypatch, 'onnx', 'openvino')
    assert choice.choose(folder).kind == 'openvino'
    installed(monkeypatch, 'onnx')
    found = choice.choose(folder)
    assert found.kind == 'onnx'
    assert 'openvino not installed' in found.why
    engine = load(folder, 'lift')
    assert engine.info.kind == 'onnx'
    assert engine.info.why == found.why


def test_what_is_compiled_for_a_gpu_is_not_exchanged_in_silence(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, 'onnx', 'openvino', 'pytorch')
    folder = make_engine(kind='tensorrt', runs=('tensorrt',))
    assert choice.choose(folder).kind == 'tensorrt'
    with pytest.raises(EngineError):
        load(folder, 'lift')


def test_a_checkpoint_alone_is_run_by_pytorch(tmp_path: Path) -> None:
    (tmp_path / 'model.json').write_text('{}')
    assert choice.choose(tmp_path).kind == 'pytorch'


def test_what_is_asked_for_is_taken(make_engine: MakeEngine) -> None:
    assert choice.choose(make_engine(), 'openvino') == choice.BackendChoice(
        'openvino', 'asked for'
    )


def test_where_none_is_installed_the_error_names_what_every_robot_can_have(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch)
    folder = make_engine(runs=('openvino', 'onnx'), kind='openvino')
    assert choice.choose(folder).kind == 'onnx'
    assert choice.choose(make_engine(kind='tensorrt', runs=('tensorrt',))).kind == 'tensorrt'
