# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from viva_ros.core.errors import EngineError, RecordingError
from viva_ros.core.observation import Observation
from viva_ros.data.episode import Episode
from viva_ros.model import checkpoint
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.proprio import ProprioModel
from viva_ros.model.viva import ViVa
from viva_ros.offline import export as module
from viva_ros.offline.export import export, main
from viva_ros.runtime import manifest as manifests
from viva_ros.runtime.engine import load

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
def test_an_exported_engine_gives_the_values_of_its_checkpoint(
    tmp_path: Path, tiny: ViVa, slide: Callable[..., Episode], record: Record
) -> None:
    folder, out = tmp_path / 'checkpoint', tmp_path / 'engine'
    mark = checkpoint.write(folder, lively(tiny), {'seed': 4})
    record(tmp_path / 'r', slide(1))
    assert main([str(folder), '--out', str(out), '--recordings', str(tmp_path / 'r')]) == 0
    described = json.loads((out / 'engine.json').read_text())
    assert described['parity'] <= 1e-4
    assert described['moments'] == 3  # every fifth of 12 frames
    assert described['provenance']['training'] == {'seed': 4}
    onnx, pytorch = (load(out, 'slide', kind) for kind in ('onnx', 'pytorch'))
    assert pytorch.info.fingerprint == described['provenance']['checkpoint'] == mark
    assert onnx.info.fingerprint == manifests.fingerprint(mark, described['sha256']) != mark
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
    assert str(Path(module.__file__).parents[1]).encode() not in content  # no folders of ours


@pytest.mark.slow
def test_an_early_exit_is_exported_as_any_other_model(
    tmp_path: Path, tiny: ViVa, slide: Callable[..., Episode], record: Record
) -> None:
    torch.manual_seed(2)
    head = EarlyExit.of(lively(tiny), 1).eval()
    checkpoint.write(tmp_path / 'checkpoint', head, {})
    made = export(tmp_path / 'checkpoint', tmp_path / 'engine', [record(tmp_path / 'r', slide(1))])
    assert made.model == 'early_exit'
    seen = [observation(seed) for seed in range(3)]
    onnx, pytorch = (load(tmp_path / 'engine', 'slide', kind) for kind in ('onnx', 'pytorch'))
    given, expected = (engine.estimate_batch(seen) for engine in (onnx, pytorch))
    for one, other in zip(given, expected, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-4)
        assert one.forecast == pytest.approx(other.forecast, abs=1e-4)


def test_the_baseline_is_exported_as_an_engine_without_cameras(
    tmp_path: Path, tiny: ViVa, slide: Callable[..., Episode], record: Record
) -> None:
    model = ProprioModel(tiny.ranges, 1).eval()
    content = {'kind': 'proprio', 'ranges': tiny.ranges.to_dict(), 'tasks': ['slide'],
               'horizon': 1.0, 'provenance': {}}  # fmt: skip
    checkpoint.write_weights(tmp_path / 'proprio', model, content)
    made = export(tmp_path / 'proprio', tmp_path / 'engine', [record(tmp_path / 'r', slide(1))])
    assert made.cameras == ()
    assert made.parity <= 1e-4
    engine = load(tmp_path / 'engine', 'slide')
    joints = observation(0).proprio
    with torch.inference_mode():
        row = torch.tensor([[joints[name] for name in tiny.ranges.names]])
        expected = float(model(row, torch.zeros(1, dtype=torch.long))[0])
    seen = Observation({}, joints, {'joint_states': 0})
    assert engine.estimate(seen).value == pytest.approx(expected, abs=1e-5)


def test_a_graph_that_differs_is_refused_and_nothing_is_written(
    tmp_path: Path, tiny: ViVa, slide: Callable[..., Episode], record: Record,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    checkpoint.write(tmp_path / 'checkpoint', tiny, {})
    monkeypatch.setattr(module, 'make_graph', lambda source: b'graph')
    for parity in (0.02, float('inf'), float('nan')):
        monkeypatch.setattr(module, 'measure_parity', lambda *_, worst=parity: worst)
        with pytest.raises(EngineError, match='differs from the model by'):
            export(tmp_path / 'checkpoint', tmp_path / 'e', [record(tmp_path / 'r', slide(1))])
    assert not (tmp_path / 'e').exists()


def test_without_recorded_moments_nothing_is_exported(
    tmp_path: Path, tiny: ViVa, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.write(tmp_path / 'checkpoint', tiny, {})
    monkeypatch.setattr(module, 'make_graph', lambda source: b'graph')
    with pytest.raises(RecordingError, match='no recorded moments to compare on'):
        export(tmp_path / 'checkpoint', tmp_path / 'engine', [])


def test_parity_is_the_largest_difference_of_all_moments(
    tiny: ViVa, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkpoint.write(tmp_path / 'checkpoint', tiny, {})
    source = module.open_source(tmp_path / 'checkpoint')
    expected = [0.5, -0.5, 0.0]
    model = iter(torch.tensor([[value]]) for value in expected)
    monkeypatch.setattr(source.model, 'forward', lambda **_: next(model))
    given = iter([0.5001, -0.52, 0.001])
    monkeypatch.setattr(module, 'session', lambda graph: lambda feeds: [[next(given)]])
    samples = [source.example()] * 3
    assert module.measure_parity(source, b'', samples) == pytest.approx(0.02)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r'model\.json cannot be read'):
        module.open_source(tmp_path)


@pytest.mark.slow
def test_an_engine_that_tells_progress_from_risk_gives_both(
    tmp_path: Path, slide: Callable[..., Episode], record: Record, tiny: ViVa
) -> None:
    torch.manual_seed(1)
    apart = ViVa(replace(tiny.config, targets=('proprio', 'value', 'success')), tiny.ranges)
    folder, out = tmp_path / 'checkpoint', tmp_path / 'engine'
    checkpoint.write(folder, lively(apart), {})
    export(folder, out, [record(tmp_path / 'r', slide(1))])
    given, expected = (load(out, 'slide', kind).estimate(observation(3))
                       for kind in ('onnx', 'pytorch'))  # fmt: skip
    assert given.value == pytest.approx(given.progress + given.success - 1, abs=1e-6)
    for name in ('value', 'progress', 'success'):
        assert getattr(given, name) == pytest.approx(getattr(expected, name), abs=1e-5)
    assert set(given.forecast) == set(tiny.config.joint_names)
