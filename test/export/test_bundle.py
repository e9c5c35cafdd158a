# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.errors import raises
from support.slides import slide_episode, write_slide

from viva_ros.cli.export import main
from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.data.episode import Episode
from viva_ros.engine.backends import cuda
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import GRAPH, fingerprint, trained_episodes
from viva_ros.export import bundle, parity
from viva_ros.export.bundle import EngineFile, ExportPlan, export
from viva_ros.export.parity import ParitySample
from viva_ros.model import checkpoint
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.proprio import ProprioModel
from viva_ros.model.viva import ViVa

Record = Callable[[Path, Episode], Path]


def observation(seed: int) -> Observation:
    rng = np.random.default_rng(seed)
    images = {name: rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
              for name in ('head', 'left_wrist', 'right_wrist')}  # fmt: skip
    joints = {name: float(rng.random())
              for name in ('left_waist', 'left_gripper', 'right_waist')}  # fmt: skip
    return Observation(images, joints, {'head': 0})


def lively(viva: ViVa) -> ViVa:
    with torch.no_grad():
        for parameter in viva.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return viva.eval()


@pytest.mark.slow
def test_exported_engine_equals_its_checkpoint(tmp_path: Path, tiny_viva: ViVa) -> None:
    folder, out = tmp_path / 'checkpoint', tmp_path / 'engine'
    parts = {'train': ['a'], 'validation': ['b']}
    provenance = {'seed': 4, 'episode_identities': parts}
    mark = checkpoint.write(folder, lively(tiny_viva), provenance)
    write_slide(tmp_path / 'r', slide_episode(1))
    command = [sys.executable, '-P', '-m', 'viva_ros.cli.main', 'export', folder, '--out', out]
    done = subprocess.run([*command, '--recordings', tmp_path / 'r'], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert [line for line in lines if not line.startswith('viva export: ')] == []  # no library's
    described = json.loads((out / 'engine.json').read_text())
    assert described['parity'] <= 1e-4
    assert described['moments'] == 3  # every fifth of 12 frames
    assert described['provenance']['training'] == provenance
    assert trained_episodes(out) == {'a', 'b'}
    onnx, pytorch = (load(out, 'slide', kind) for kind in ('onnx', 'pytorch'))
    assert pytorch.info.fingerprint == described['provenance']['checkpoint'] == mark
    assert onnx.info.fingerprint == fingerprint(mark, described['sha256']) != mark
    assert onnx.info == replace(pytorch.info, kind='onnx', fingerprint=onnx.info.fingerprint)
    for seed in range(3):
        given, expected = (engine.estimate(observation(seed)) for engine in (onnx, pytorch))
        assert given.value == pytest.approx(expected.value, abs=1e-4)
        assert given.forecast == pytest.approx(expected.forecast, abs=1e-4)
    seen = [observation(seed) for seed in range(3)]
    together, alone = onnx.estimate_batch(seen), [pytorch.estimate(one) for one in seen]
    assert [e.value for e in together] == pytest.approx([e.value for e in alone], abs=1e-4)
    assert len({e.value for e in alone}) == 3
    content = (out / 'engine.onnx').read_bytes()
    assert str(Path(bundle.__file__).parents[1]).encode() not in content  # no local path


@pytest.mark.slow
@pytest.mark.parametrize('bins', [0, 201])
def test_early_exit_engine_equals_its_checkpoint(
    tmp_path: Path, tiny_viva: ViVa, bins: int
) -> None:
    torch.manual_seed(2)
    head = EarlyExit.of(lively(tiny_viva), 1, bins).eval()
    checkpoint.write(tmp_path / 'checkpoint', head, {})
    made = export(
        tmp_path / 'checkpoint',
        tmp_path / 'engine',
        [write_slide(tmp_path / 'r', slide_episode(1))],
    )
    assert made.model == 'early_exit'
    seen = [observation(seed) for seed in range(3)]
    onnx, pytorch = (load(tmp_path / 'engine', 'slide', kind) for kind in ('onnx', 'pytorch'))
    given, expected = (engine.estimate_batch(seen) for engine in (onnx, pytorch))
    for one, other in zip(given, expected, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-4)
        assert one.forecast == pytest.approx(other.forecast, abs=1e-4)


def test_baseline_is_exported_without_cameras(tmp_path: Path, tiny_viva: ViVa) -> None:
    model = ProprioModel(tiny_viva.ranges, 1).eval()
    content = {'kind': 'proprio', 'ranges': tiny_viva.ranges.to_dict(), 'tasks': ['slide'],
               'horizon': 1.0, 'provenance': {}}  # fmt: skip
    checkpoint.write_weights(tmp_path / 'proprio', model, content)
    made = export(
        tmp_path / 'proprio', tmp_path / 'engine', [write_slide(tmp_path / 'r', slide_episode(1))]
    )
    assert made.cameras == ()
    assert made.parity <= 1e-4
    engine = load(tmp_path / 'engine', 'slide')
    joints = observation(0).proprio
    with torch.inference_mode():
        row = torch.tensor([[joints[name] for name in tiny_viva.ranges.names]])
        expected = float(model(row, torch.zeros(1, dtype=torch.long))[0])
    seen = Observation({}, joints, {'joint_states': 0})
    assert engine.estimate(seen).value == pytest.approx(expected, abs=1e-5)


@pytest.fixture
def joints_alone(tmp_path: Path, tiny_viva: ViVa) -> Path:
    """Return a checkpoint of the baseline, which is exported fast."""
    torch.manual_seed(0)
    content = {'kind': 'proprio', 'ranges': tiny_viva.ranges.to_dict(), 'tasks': ['slide'],
               'horizon': 1.0, 'provenance': {}}  # fmt: skip
    folder = tmp_path / 'proprio'
    checkpoint.write_weights(folder, ProprioModel(tiny_viva.ranges, 1).eval(), content)
    return folder


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def made_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, float], None]:
    """Replace the engine by some bytes, and its difference from the model by a number."""

    def set_up(content: bytes, far: float) -> None:
        found = parity.Differences(far, far, 0.0, 0.0, 3)
        monkeypatch.setattr(bundle, 'make_file', lambda *_: EngineFile(GRAPH, content, {}))
        monkeypatch.setattr(bundle.BundleStage, '_compare', lambda *_: found)

    return set_up


@pytest.mark.parametrize('far', [0.02, math.inf, math.nan])
def test_engine_that_differs_is_refused_and_deleted(
    tmp_path: Path, joints_alone: Path, made_of: Callable[[bytes, float], None], far: float
) -> None:
    made_of(b'graph', far)
    paths = [write_slide(tmp_path / 'r', slide_episode(1))]
    before = left(tmp_path)
    with raises('parity-value-differs', f'{far:.3g} in value', '0.01', '--precision'):
        export(joints_alone, tmp_path / 'e', paths)
    assert left(tmp_path) == before


def test_failed_export_keeps_the_existing_engine(
    tmp_path: Path,
    joints_alone: Path,
    made_of: Callable[[bytes, float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = [write_slide(tmp_path / 'r', slide_episode(1))]
    made_of(b'first', 0.0)
    export(joints_alone, tmp_path / 'e', paths)
    before = {path.name: path.read_bytes() for path in (tmp_path / 'e').iterdir()}
    assert before[GRAPH] == b'first'
    made_of(b'second', 0.0)
    monkeypatch.setattr(bundle, 'write_manifest', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(joints_alone, tmp_path / 'e', paths)
    assert {path.name: path.read_bytes() for path in (tmp_path / 'e').iterdir()} == before
    assert not [name for name in left(tmp_path) if name.endswith('.tmp')]


def test_export_without_recorded_moments_is_refused(tmp_path: Path, joints_alone: Path) -> None:
    with raises('parity-moments-missing', 'slide', '--recordings'):
        export(joints_alone, tmp_path / 'engine', [])


def test_differences_are_maximum_and_mean_over_moments(joints_alone: Path) -> None:
    source = bundle.open_source(joints_alone)
    samples = [ParitySample(None, np.zeros(3, dtype=np.float32), 'slide')] * 3
    expected = [{'value': np.float64(v), 'forecast': np.zeros(3)} for v in (0.5, -0.5, 0.0)]
    given = iter([(0.5001, 0.0), (-0.52, 0.3), (0.0003, 0.0)])

    def ask(seen: Observation, task: str) -> Estimate:
        value, first = next(given)
        return Estimate(value, {'left_waist': first, 'left_gripper': 0.0, 'right_waist': 0.0})

    found = parity.compare(source, samples, expected, ask)
    assert found.value == pytest.approx(0.02)
    assert found.value_mean == pytest.approx((0.0001 + 0.02 + 0.0003) / 3)
    assert found.joints == pytest.approx(0.3)
    assert found.joints_mean == pytest.approx(0.3 / 9)
    waist = source.ranges.high[0] - source.ranges.low[0]
    assert found.joints_share == pytest.approx(0.3 / waist)


@pytest.mark.parametrize('share', [0.06, math.inf, math.nan])
def test_forecast_that_differs_is_refused(share: float) -> None:
    parity.check(parity.Differences(0.0, 0.0, 0.0, 0.0, 3, 0.04), 'the engine')
    with raises('parity-forecast-differs', 'the engine', f'{share:.3g}', '0.05', '--precision'):
        parity.check(parity.Differences(0.0, 0.0, 0.0, 0.0, 3, share), 'the engine')


def test_estimate_that_is_not_finite_differs_infinitely(joints_alone: Path) -> None:
    def ask(seen: Observation, task: str) -> Estimate:
        raise EngineError('engine-output-not-finite', 'value is nan')

    samples = [ParitySample(None, np.zeros(3, dtype=np.float32), 'slide')]
    source = bundle.open_source(joints_alone)
    found = parity.compare(source, samples, [{'value': np.float64(0.0)}], ask)
    assert found.value == math.inf


def test_description_has_hashes_inputs_and_libraries(tmp_path: Path, joints_alone: Path) -> None:
    paths = [write_slide(tmp_path / 'r', slide_episode(1))]
    pytest.importorskip('openvino')
    made = export(joints_alone, tmp_path / 'e', paths, ExportPlan('openvino'))
    content = json.loads((tmp_path / 'e' / 'engine.json').read_text())
    weights = hashlib.sha256((joints_alone / 'model.safetensors').read_bytes()).hexdigest()
    graph = hashlib.sha256((tmp_path / 'e' / 'engine.onnx').read_bytes()).hexdigest()
    assert (content['weights'], content['sha256']) == (weights, graph)
    assert content['inputs']['proprio'] == {'type': 'float32', 'shape': ['B', 3]}
    assert {'torch', 'onnx', 'onnxruntime', 'openvino'} <= set(content['libraries'])
    assert content['runs'] == ['openvino', 'onnx']  # the one asked for first
    found = content['differences']['openvino']
    assert 0 <= found['value_mean'] <= found['value'] <= made.parity <= 1e-4
    assert found['joints'] >= found['joints_mean'] >= 0
    info = load(tmp_path / 'e', 'slide').info
    assert info.kind == 'openvino'
    assert info.library.startswith('openvino 20')


@pytest.mark.parametrize(('plan', 'code', 'named'), [
    (ExportPlan('onnx', 'bfloat16'), 'precision-unsupported', ('bfloat16', 'float32, int8')),
    (ExportPlan('tensorrt'), 'tensorrt-missing', ('install', 'JetPack')),
    (ExportPlan('tensorrt_rtx'), 'tensorrt-gpu-missing', ('--build-only', '--capability')),
])  # fmt: skip
def test_engine_that_cannot_be_built_here_is_refused(
    tmp_path: Path, joints_alone: Path, plan: ExportPlan, code: str, named: tuple[str, ...]
) -> None:
    if plan.kind == 'tensorrt_rtx':
        pytest.importorskip('tensorrt_rtx')
        if cuda.probe().device:
            pytest.skip('there is a GPU')
    with raises(code, *named):
        export(joints_alone, tmp_path / 'e', [write_slide(tmp_path / 'r', slide_episode(1))], plan)
    assert not (tmp_path / 'e').exists()


def test_unsupported_engine_of_the_baseline_is_refused(tmp_path: Path, joints_alone: Path) -> None:
    paths = [write_slide(tmp_path / 'r', slide_episode(1))]
    for plan in (ExportPlan('pytorch'), ExportPlan('openvino', 'bfloat16')):
        with raises('proprio-engine-unsupported', joints_alone, plan.kind, 'onnx or openvino'):
            export(joints_alone, tmp_path / 'e', paths, plan)
    assert not (tmp_path / 'e').exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_16_bit_pytorch_engine_without_gpu_is_refused() -> None:
    with raises('parity-gpu-missing', 'bfloat16', '--build-only', '--measure'):
        bundle.check_gpu_for('bfloat16')


def test_graph_larger_than_a_file_is_refused(
    tmp_path: Path, joints_alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('viva_ros.export.graph.LARGEST_GRAPH', 100)
    with raises('graph-too-large', 'GB of weights', '--engine pytorch'):
        export(joints_alone, tmp_path / 'e', [write_slide(tmp_path / 'r', slide_episode(1))])


def test_capability_of_another_engine_kind_is_refused(tmp_path: Path) -> None:
    with raises('export-capability', '--capability', 'tensorrt_rtx'):
        main([str(tmp_path), '--out', str(tmp_path / 'e'), '--capability', '89'])
    with raises('export-output-missing', '--out'):
        main([str(tmp_path)])


def test_folder_writable_by_anyone_is_refused(tmp_path: Path, joints_alone: Path) -> None:
    place = tmp_path / 'open'
    place.mkdir()
    place.chmod(0o1777)  # sticky, as /tmp
    with raises('build-folder-writable', place, 'engine'):
        export(joints_alone, place / 'a' / 'engine', [])


def test_folder_without_checkpoint_is_refused(tmp_path: Path) -> None:
    with raises('checkpoint-missing', tmp_path, 'no model.json'):
        bundle.open_source(tmp_path)


@pytest.mark.slow
def test_engine_with_outcome_returns_progress_and_success(tmp_path: Path, tiny_viva: ViVa) -> None:
    torch.manual_seed(1)
    apart = ViVa(
        replace(tiny_viva.config, targets=('proprio', 'value', 'success')), tiny_viva.ranges
    )
    folder, out = tmp_path / 'checkpoint', tmp_path / 'engine'
    checkpoint.write(folder, lively(apart), {})
    export(folder, out, [write_slide(tmp_path / 'r', slide_episode(1))])
    given, expected = (load(out, 'slide', kind).estimate(observation(3))
                       for kind in ('onnx', 'pytorch'))  # fmt: skip
    assert given.value == pytest.approx(given.progress + given.success - 1, abs=1e-6)
    for name in ('value', 'progress', 'success'):
        assert getattr(given, name) == pytest.approx(getattr(expected, name), abs=1e-5)
    assert set(given.forecast) == set(tiny_viva.config.joint_names)
