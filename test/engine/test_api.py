# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from viva_ros.core.errors import EngineError, InputError
from viva_ros.core.observation import Observation
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import fingerprint

MakeEngine = Callable[..., Path]


def observation(red: int = 51, joint: float = 0.25, size: int = 4) -> Observation:
    head = np.zeros((size, size, 3), dtype=np.uint8)
    head[:, :, 0] = red
    wrist = np.full((size, size, 3), 255, dtype=np.uint8)
    joints = {'right_waist': 0.5, 'elbow': 9.0, 'left_waist': joint}
    return Observation({'wrist': wrist, 'head': head}, joints, {'head': 1, 'wrist': 1})


def test_inputs_go_in_by_name_and_the_forecast_comes_out_by_name(make_engine: MakeEngine) -> None:
    engine = load(make_engine(), 'lift')
    estimate = engine.estimate(observation())
    assert estimate.value == pytest.approx(0.25 + 51 / 255)
    assert estimate.forecast == pytest.approx({'left_waist': 1.25, 'right_waist': 1.5})


def test_an_engine_says_what_it_is_made_for(make_engine: MakeEngine) -> None:
    info = load(make_engine(), 'lift').info
    assert info.cameras == ('head', 'wrist')
    assert info.joint_names == ('left_waist', 'right_waist')
    assert info.image_size == (4, 4)
    assert (info.horizon, info.tasks, info.kind) == (1.0, ('lift', 'pass'), 'onnx')
    assert info.fingerprint == '0123456789abcdef'


@pytest.mark.parametrize('with_images', [True, False])
def test_openvino_gives_what_onnxruntime_gives(
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


def test_the_task_chooses_its_number(make_engine: MakeEngine) -> None:
    folder = make_engine()
    values = [load(folder, task).estimate(observation()).value for task in ('lift', 'pass')]
    assert values[1] - values[0] == pytest.approx(1.0)


def test_pictures_of_any_size_are_fitted(make_engine: MakeEngine) -> None:
    engine = load(make_engine(), 'lift')
    large = engine.estimate(observation(size=64))
    assert large.value == pytest.approx(engine.estimate(observation()).value)


def test_a_model_of_joints_alone_looks_at_no_camera(
    make_engine: MakeEngine, blind_graph: bytes
) -> None:
    engine = load(make_engine(blind_graph, cameras=()), 'lift')
    seen = Observation({}, {'left_waist': 0.25, 'right_waist': 0.0}, {'joint_states': 1})
    assert engine.estimate(seen).value == 0.25


@pytest.mark.parametrize(('seen', 'reason'), [
    (Observation({'head': observation().images['head']}, observation().proprio, {}),
     'camera wrist is missing; there are head'),
    (Observation(observation().images, {'left_waist': 0.0}, {}), 'lacks right_waist'),
    (observation(joint=float('nan')), 'left_waist = nan'),
    (Observation({**observation().images, 'head': np.zeros((4, 4), np.uint8)},
                 observation().proprio, {}), 'camera head: image is uint8'),
])  # fmt: skip
def test_an_observation_that_does_not_fit_is_refused(
    make_engine: MakeEngine, seen: Observation, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        load(make_engine(), 'lift').estimate(seen)


def test_a_value_that_is_not_finite_is_an_error_of_the_engine(make_engine: MakeEngine) -> None:
    engine = load(make_engine(), 'lift')
    with pytest.raises(EngineError, match='value inf'):
        # float32 has no such number: it becomes infinite inside.
        engine.estimate(observation(joint=1e300))


def test_a_changed_graph_is_refused(make_engine: MakeEngine) -> None:
    folder = make_engine()
    content = bytearray((folder / 'engine.onnx').read_bytes())
    content[10] ^= 1
    (folder / 'engine.onnx').write_bytes(content)
    with pytest.raises(EngineError, match=r"has SHA-256 .* says .*'viva export', or fetch"):
        load(folder, 'lift')


def test_a_graph_exchanged_together_with_its_hash_is_refused(make_engine: MakeEngine) -> None:
    """Thresholds are tied to the fingerprint: another graph must not pass under the old one."""
    named = fingerprint('0011223344556677', 64 * 'a')
    folder = make_engine(fingerprint=named, provenance={'checkpoint': '0011223344556677'})
    with pytest.raises(EngineError, match=f"has fingerprint '{named}', checkpoint and graph give"):
        load(folder, 'lift')


def test_the_fingerprint_follows_checkpoint_and_graph() -> None:
    marks = {fingerprint(c, g) for c, g in (('a', 'b'), ('a', 'c'), ('b', 'b'), ('a', 'b'))}
    assert len(marks) == 3
    assert all(len(mark) == 16 for mark in marks)


@pytest.mark.parametrize('name', ['engine.onnx', 'engine.json'])
def test_a_missing_file_is_named(make_engine: MakeEngine, name: str) -> None:
    folder = make_engine()
    (folder / name).unlink()
    with pytest.raises(EngineError, match=f'{name} is not there'):
        load(folder, 'lift', 'onnx')


@pytest.mark.parametrize('name', ['engine.onnx', 'engine.json', '.'])
def test_what_anyone_may_write_to_is_refused_with_the_remedy(
    make_engine: MakeEngine, name: str
) -> None:
    folder = make_engine()
    path = folder / name
    path.chmod(path.stat().st_mode | 0o002)
    with pytest.raises(EngineError, match=f"may be written by anyone: run 'chmod o-w {path}'"):
        load(folder, 'lift')


@pytest.mark.parametrize('content', ['', '{', '[]', '{"format": 1}', '{"format": 2}'])
def test_a_description_that_cannot_be_read_is_refused(
    make_engine: MakeEngine, content: str
) -> None:
    folder = make_engine()
    (folder / 'engine.json').write_text(content)
    with pytest.raises(EngineError, match=r'engine\.json (cannot be read|has format 2)'):
        load(folder, 'lift')


@pytest.mark.parametrize(
    'change',
    [
        {'cameras': ['wrist', 'head']},  # the same, in another order: silent nonsense
        {'tasks': ['pass', 'lift']},
        {'precision': 'int8'},
    ],
)
def test_a_description_that_was_changed_is_refused(make_engine, change) -> None:
    folder = make_engine()
    content = json.loads((folder / 'engine.json').read_text())
    load(folder, 'lift').close()
    (folder / 'engine.json').write_text(json.dumps({**content, **change}))
    with pytest.raises(EngineError, match=r'engine\.json was changed after it was written'):
        load(folder, 'lift')


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'runs': []}, 'runs .*must be of onnx'),
        ({'runs': ['foo']}, "runs .*'foo'.*must be of onnx"),
        ({'kind': 'foo'}, 'must be of onnx'),
        ({'inputs': {'proprio': None}}, 'cannot be read'),
    ],
)
def test_a_description_that_makes_no_sense_is_one_error(make_engine, change, reason) -> None:
    folder = make_engine()
    content = json.loads((folder / 'engine.json').read_text())
    (folder / 'engine.json').write_text(json.dumps({**content, **change}))
    with pytest.raises(EngineError, match=reason):
        load(folder, 'lift')


def test_a_field_that_is_not_known_is_named(make_engine: MakeEngine) -> None:
    folder = make_engine()
    content = json.loads((folder / 'engine.json').read_text())
    (folder / 'engine.json').write_text(json.dumps({**content, 'colour': 1}))
    with pytest.raises(EngineError, match=r'unexpected.*colour'):
        load(folder, 'lift')


def test_a_graph_that_is_none_is_refused(make_engine: MakeEngine) -> None:
    with pytest.raises(EngineError, match='cannot be loaded by onnxruntime'):
        load(make_engine(b'no graph'), 'lift')


def test_an_unknown_task_is_refused_with_those_known(make_engine: MakeEngine) -> None:
    with pytest.raises(EngineError, match="task is 'fold', the engine knows 'lift', 'pass'"):
        load(make_engine(), 'fold')


@pytest.mark.parametrize('parity', [0.011, float('inf')])
def test_an_engine_that_differs_from_its_model_is_refused(
    make_engine: MakeEngine, parity: float
) -> None:
    with pytest.raises(EngineError, match=r'differs from PyTorch by .*, at most 0\.01'):
        load(make_engine(parity=parity), 'lift')


def test_an_unknown_kind_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="kind is 'abacus', must be one of auto, onnx"):
        load(tmp_path, 'lift', 'abacus')
    with pytest.raises(EngineError, match='is no folder'):
        load(tmp_path / 'nowhere', 'lift')


def test_an_exported_engine_runs_without_torch(make_engine: MakeEngine) -> None:
    folder = make_engine()
    code = (
        'import sys; from pathlib import Path; from viva_ros.engine.factory import load; '
        f'engine = load(Path({str(folder)!r}), "lift"); engine.close(); '
        'assert not {"torch", "diffusers", "openvino"} & set(sys.modules), sys.modules'
    )
    subprocess.run([sys.executable, '-c', code], check=True, timeout=60)
