# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.core.errors import EngineError
from viva_ros.engine import factory
from viva_ros.engine.backend import BACKENDS, kinds
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import trained_episodes

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


def test_trained_episodes_are_those_of_training_and_validation(
    make_engine: MakeEngine, tmp_path: Path
) -> None:
    parts = {'episode_identities': {'train': ['a', 'b'], 'validation': ['c']}}
    assert trained_episodes(make_engine(provenance={'training': parts})) == {'a', 'b', 'c'}
    # Of an earlier version, of another package, and without any: unknown.
    assert trained_episodes(make_engine(provenance={'training': {'seed': 1}})) is None
    assert trained_episodes(make_engine(provenance={})) is None
    assert trained_episodes(tmp_path / 'elsewhere') is None


@pytest.mark.parametrize(
    'parts', [['a'], 'a', {'train': 'ab'}, {'train': 5}, {'train': [5]}, {'train': {'a': 1}}]
)
def test_invalid_training_episodes_of_an_engine_are_refused(
    make_engine: MakeEngine, parts: object
) -> None:
    folder = make_engine(provenance={'training': {'episode_identities': parts}})
    with raises('training-identities-invalid', folder, 'episode_identities', 'viva export'):
        trained_episodes(folder)


def test_trained_episodes_of_a_checkpoint_are_read_from_it(tmp_path: Path) -> None:
    path = tmp_path / 'model.json'
    path.write_text('{"provenance": {"episode_identities": {"train": ["a"]}}}')
    assert trained_episodes(tmp_path) == {'a'}
    path.write_text('{}')
    assert trained_episodes(tmp_path) is None
    path.write_text('[')
    with raises('model-json-invalid', path):
        trained_episodes(tmp_path)


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
