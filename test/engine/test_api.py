# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.errors import raises

from viva_ros.core.errors import EngineError, InputError
from viva_ros.core.observation import Observation
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import checksum, fingerprint

MakeEngine = Callable[..., Path]


def observation(red: int = 51, joint: float = 0.25, size: int = 4) -> Observation:
    head = np.zeros((size, size, 3), dtype=np.uint8)
    head[:, :, 0] = red
    wrist = np.full((size, size, 3), 255, dtype=np.uint8)
    joints = {'right_waist': 0.5, 'elbow': 9.0, 'left_waist': joint}
    return Observation({'wrist': wrist, 'head': head}, joints, {'head': 1, 'wrist': 1})


def rewrite(folder: Path, change: dict[str, object]) -> None:
    """Change a description and make its checksum anew, as only its author could."""
    content = json.loads((folder / 'engine.json').read_text()) | change
    (folder / 'engine.json').write_text(json.dumps(content | {'checksum': checksum(content)}))


def test_inputs_and_forecast_are_matched_by_name(make_engine: MakeEngine) -> None:
    engine = load(make_engine(), 'lift')
    estimate = engine.estimate(observation())
    assert estimate.value == pytest.approx(0.25 + 51 / 255)
    assert estimate.forecast == pytest.approx({'left_waist': 1.25, 'right_waist': 1.5})


def test_info_has_cameras_joints_and_tasks(make_engine: MakeEngine) -> None:
    info = load(make_engine(), 'lift').info
    assert info.cameras == ('head', 'wrist')
    assert info.joint_names == ('left_waist', 'right_waist')
    assert info.image_size == (4, 4)
    assert (info.horizon, info.tasks, info.kind) == (1.0, ('lift', 'pass'), 'onnx')
    assert info.fingerprint == '0123456789abcdef'


@pytest.mark.parametrize('with_images', [True, False])
def test_openvino_equals_onnxruntime(
    make_engine: MakeEngine, blind_graph: bytes, with_images: bool
) -> None:
    pytest.importorskip('openvino')
    blind = {} if with_images else {'cameras': ()}
    folder = make_engine(None if with_images else blind_graph, **blind)
    engines = [load(folder, 'pass', kind) for kind in ('onnx', 'openvino')]
    given = [engine.estimate(observation(red=77)) for engine in engines]
    assert given[1].value == pytest.approx(given[0].value, abs=1e-6)
    assert given[1].forecast == pytest.approx(given[0].forecast, abs=1e-6)
    assert engines[1].info.kind == 'openvino'
    assert engines[1].info == replace(engines[0].info, kind='openvino')


def test_task_selects_its_index(make_engine: MakeEngine) -> None:
    folder = make_engine()
    values = [load(folder, task).estimate(observation()).value for task in ('lift', 'pass')]
    assert values[1] - values[0] == pytest.approx(1.0)


def test_images_of_any_size_are_letterboxed(make_engine: MakeEngine) -> None:
    engine = load(make_engine(), 'lift')
    large = engine.estimate(observation(size=64))
    assert large.value == pytest.approx(engine.estimate(observation()).value)


def test_model_of_joints_alone_needs_no_camera(
    make_engine: MakeEngine, blind_graph: bytes
) -> None:
    engine = load(make_engine(blind_graph, cameras=()), 'lift')
    joints_alone = Observation({}, {'left_waist': 0.25, 'right_waist': 0.0}, {'joint_states': 1})
    assert engine.estimate(joints_alone).value == 0.25


@pytest.mark.parametrize(('invalid', 'code', 'named'), [
    (Observation({'head': observation().images['head']}, observation().proprio, {}),
     'camera-missing', ('camera wrist', 'there are head')),
    (Observation({**observation().images, 'head': np.zeros((4, 4), np.uint8)},
                 observation().proprio, {}), 'image-type', ('camera head', 'uint8', '(4, 4)')),
], ids=['camera missing', 'grey image'])  # fmt: skip
def test_invalid_observation_is_refused(
    make_engine: MakeEngine, invalid: Observation, code: str, named: tuple[str, ...]
) -> None:
    engine = load(make_engine(), 'lift')
    with raises(code, *named, of=InputError):
        engine.estimate(invalid)


@pytest.mark.parametrize(('joints', 'code', 'named'), [
    ({'left_waist': 0.0}, 'joints-missing', 'right_waist'),
    ({'left_waist': float('nan'), 'right_waist': 0.0}, 'joints-not-finite', 'left_waist = nan'),
], ids=['missing', 'NaN'])  # fmt: skip
def test_invalid_joint_is_named(
    make_engine: MakeEngine, joints: dict[str, float], code: str, named: str
) -> None:
    engine = load(make_engine(), 'lift')
    with raises(code, named, of=InputError):
        engine.estimate(Observation(observation().images, joints, {}))


def test_value_not_finite_raises_engine_error(make_engine: MakeEngine) -> None:
    engine = load(make_engine(), 'lift')
    with raises('engine-output-not-finite', 'value', 'inf', of=EngineError):
        # above the range of float32, so the graph computes inf
        engine.estimate(observation(joint=1e300))


def test_changed_graph_is_refused(make_engine: MakeEngine) -> None:
    folder = make_engine()
    content = bytearray((folder / 'engine.onnx').read_bytes())
    content[10] ^= 1
    (folder / 'engine.onnx').write_bytes(content)
    digest = json.loads((folder / 'engine.json').read_text())['sha256']
    with raises('engine-hash', folder / 'engine.onnx', digest[:12], 'viva export', 'fetch'):
        load(folder, 'lift')


def test_graph_exchanged_with_its_hash_is_refused(make_engine: MakeEngine) -> None:
    """Thresholds are tied to the fingerprint: another graph must not pass under the old one."""
    named = fingerprint('0011223344556677', 64 * 'a')
    folder = make_engine(fingerprint=named, provenance={'checkpoint': '0011223344556677'})
    with raises('engine-fingerprint', folder / 'engine.json', named, 'viva export'):
        load(folder, 'lift')


def test_fingerprint_depends_on_checkpoint_and_graph() -> None:
    marks = {fingerprint(c, g) for c, g in (('a', 'b'), ('a', 'c'), ('b', 'b'), ('a', 'b'))}
    assert len(marks) == 3
    assert all(len(mark) == 16 for mark in marks)


@pytest.mark.parametrize('name', ['engine.onnx', 'engine.json'])
def test_missing_file_is_named(make_engine: MakeEngine, name: str) -> None:
    folder = make_engine()
    (folder / name).unlink()
    with raises('engine-file-missing', folder / name, 'viva export'):
        load(folder, 'lift', 'onnx')


@pytest.mark.parametrize('name', ['engine.onnx', 'engine.json', '.'])
def test_world_writable_file_is_refused_with_remedy(make_engine: MakeEngine, name: str) -> None:
    folder = make_engine()
    path = folder / name
    path.chmod(path.stat().st_mode | 0o002)
    with raises('file-world-writable', path, f"'chmod o-w {path}'"):
        load(folder, 'lift')


@pytest.mark.parametrize(('content', 'code'), [
    ('', 'engine-json-text'), ('{', 'engine-json-text'), ('[]', 'engine-json-text'),
    ('[' * 100_000, 'engine-json-text'), ('{"a": 1, "a": 1}', 'engine-json-text'),
    ('{"format": 2}', 'engine-json-changed'), ('{"format": 3}', 'engine-format'),
    ('{"format": true}', 'engine-format'), ('{"format": [2]}', 'engine-format'),
])  # fmt: skip
def test_unreadable_description_is_refused(
    make_engine: MakeEngine, content: str, code: str
) -> None:
    folder = make_engine()
    (folder / 'engine.json').write_text(content)
    with raises(code, folder / 'engine.json', 'viva export'):
        load(folder, 'lift')


@pytest.mark.parametrize(
    'change',
    [
        {'cameras': ['wrist', 'head']},  # the order of the views in the graph
        {'tasks': ['pass', 'lift']},
        {'precision': 'int8'},
    ],
)
def test_changed_description_is_refused(make_engine, change) -> None:
    folder = make_engine()
    content = json.loads((folder / 'engine.json').read_text())
    load(folder, 'lift').close()
    (folder / 'engine.json').write_text(json.dumps({**content, **change}))
    with raises('engine-json-changed', folder / 'engine.json', 'viva export'):
        load(folder, 'lift')


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        ({'runs': []}, ('runs', 'must be of onnx')),
        ({'runs': ['foo']}, ('runs', "'foo'", 'must be of onnx')),
        ({'kind': 'foo'}, ('must be of onnx',)),
        ({'inputs': {'proprio': None}}, ('inputs.proprio is None',)),
        ({'inputs': {'proprio': {'type': 'float32', 'shape': []}}}, ('proprio has no shape',)),
        ({'inputs': {'proprio': {'type': 'float32', 'shape': [-1]}}}, ('proprio.shape is -1',)),
        ({'colour': 1}, ('colour',)),
        ({'horizon': 0.0}, ('horizon is 0.0', 'above 0 and at most 60')),
        ({'horizon': 61}, ('horizon is 61', 'above 0 and at most 60')),
        ({'horizon': math.inf}, ('horizon is inf',)),
        ({'horizon': math.nan}, ('horizon is nan',)),
        ({'horizon': True}, ('horizon is True',)),
        ({'horizon': '1'}, ("horizon is '1'",)),
        ({'image_size': [4]}, ('image_size is [4]',)),
        ({'image_size': [0, 4]}, ('image_size is 0', 'from 1 to 4096')),
        ({'image_size': [4, 1e9]}, ('image_size is 1000000000.0', 'from 1 to 4096')),
        ({'image_size': [4, True]}, ('image_size is True',)),
        ({'image_size': '44'}, ("image_size is '44'", 'a list')),
        ({'parity': -0.001}, ('parity is -0.001', 'at least 0')),
        ({'parity': math.inf}, ('parity is inf',)),
        ({'parity': False}, ('parity is False',)),
        ({'moments': -1}, ('moments is -1',)),
        ({'moments': 1.5}, ('moments is 1.5', 'a whole number')),
        ({'cameras': ['head', 'head']}, ('cameras', 'each once')),
        ({'cameras': ['', 'head']}, ('cameras',)),
        ({'cameras': 'head'}, ('cameras is', 'a list')),
        ({'tasks': []}, ('tasks is empty',)),
        ({'tasks': [1]}, ('tasks is 1', 'a text')),
        ({'tasks': ['x' * 20_000]}, ('tasks is',)),
        ({'tasks': [str(n) for n in range(2000)]}, ('tasks is', '1000 entries')),
        ({'fingerprint': 'xyz'}, ('fingerprint', '16 hex digits')),
        ({'sha256': 'a' * 63}, ('sha256', '64 hex digits')),
        ({'weights': 'a'}, ('weights', '64 hex digits')),
        ({'ranges': {'names': ['a'], 'low': [0.0]}}, ('ranges lacks', 'high')),
        ({'ranges': {'names': ['a'], 'low': [1.0], 'high': [0.0]}}, ('range of a', 'ascending')),
        ({'ranges': {'names': ['a'], 'low': [math.nan], 'high': [0.0]}}, ('ranges.low is nan',)),
        (
            {'ranges': {'names': ['a'], 'low': [0.0], 'high': [1e9]}},
            ('ranges.high is 1000000000',),
        ),
        ({'ranges': {'names': ['a', 'a'], 'low': [0, 0], 'high': [1, 1]}}, ('ranges.names',)),
        ({'provenance': []}, ('provenance is', 'an object')),
        ({'libraries': {'torch': 2}}, ('libraries.torch is 2',)),
        ({'gpu': {'capabilities': '8.7'}}, ('gpu.capabilities',)),
        ({'seam': 1}, ('seam is 1',)),
        ({'files': {}}, ('files', "'engine.onnx'")),
        ({'files': {'../x': {'size': 1, 'sha256': 'a' * 64}}}, ("'../x'", 'outside')),
        ({'files': {'engine.onnx': {'size': 1, 'sha256': 'a' * 64}}}, ('another SHA-256',)),
        ({'files': {'engine.onnx': {'size': -1, 'sha256': 'a' * 64}}}, ('size is -1',)),
        ({'files': {'engine.onnx': {'size': 1, 'sha256': 'A' * 64}}}, ('64 hex digits',)),
    ],
    ids=repr,
)
def test_invalid_field_of_description_is_refused(make_engine, change, named) -> None:
    folder = make_engine()
    rewrite(folder, change)
    with raises('engine-json-invalid', folder / 'engine.json', *named):
        load(folder, 'lift')


def test_invalid_onnx_graph_is_refused(make_engine: MakeEngine) -> None:
    folder = make_engine(b'\x08\x0a')  # a model without a graph
    with raises('onnx-graph-invalid', folder / 'engine.onnx', 'onnxruntime', 'viva export'):
        load(folder, 'lift')


def test_openvino_refuses_invalid_graph(make_engine: MakeEngine) -> None:
    pytest.importorskip('openvino')
    folder = make_engine(b'\x08\x0a')
    with raises('openvino-graph-invalid', folder / 'engine.onnx', 'engine_kind to onnx'):
        load(folder, 'lift', 'openvino')


@pytest.mark.parametrize('library', ['onnxruntime', 'openvino'])
def test_missing_library_is_named_with_remedy(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with raises(f'{library}-missing', library, 'pip install', of=EngineError):
        load(make_engine(), 'lift', library.removesuffix('runtime'))


def test_unknown_task_is_refused_with_known_tasks(make_engine: MakeEngine) -> None:
    with raises('task-unknown', "'fold'", "'lift', 'pass'", 'parameter task'):
        load(make_engine(), 'fold')


@pytest.mark.parametrize('parity', [0.011, 1e9])
def test_engine_that_differs_from_pytorch_is_refused(
    make_engine: MakeEngine, parity: float
) -> None:
    with raises('engine-parity', f'{parity:.3g}', 0.01, 'viva export'):
        load(make_engine(parity=parity), 'lift')


def test_unknown_kind_and_missing_folder_are_refused(tmp_path: Path) -> None:
    with raises('engine-kind-unknown', "'abacus'", 'auto, onnx'):
        load(tmp_path, 'lift', 'abacus')
    with raises('engine-folder-missing', tmp_path / 'nowhere', 'viva export'):
        load(tmp_path / 'nowhere', 'lift')


def test_exported_engine_runs_without_torch(make_engine: MakeEngine) -> None:
    folder = make_engine()
    code = (
        'import sys; from pathlib import Path; from viva_ros.engine.factory import load; '
        f'engine = load(Path({str(folder)!r}), "lift"); engine.close(); '
        'assert not {"torch", "diffusers", "openvino"} & set(sys.modules), sys.modules'
    )
    subprocess.run([sys.executable, '-c', code], check=True, timeout=60)
