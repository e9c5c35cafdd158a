# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT for RTX builds without a GPU; its engines run only on a GPU."""

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from support.errors import raises

from viva_ros.cli.export import main
from viva_ros.engine import manifest
from viva_ros.engine.backends import cuda
from viva_ros.engine.factory import load
from viva_ros.engine.resources import engine_folder
from viva_ros.export import tensorrt as tensorrt_export

RTX = 'tensorrt_rtx'
pytest.importorskip(RTX)
without_gpu = pytest.mark.skipif(cuda.probe().device is not None, reason='there is a GPU')


def graph(kind: str = 'Relu') -> bytes:
    """Return a graph of one operation on (batch, 4)."""
    shape = ['batch', 4]
    node = helper.make_node(kind, ['x'], ['y'], domain='' if kind == 'Relu' else 'nowhere')
    proto = helper.make_model(
        helper.make_graph(
            [node], 'one', [helper.make_tensor_value_info('x', TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info('y', TensorProto.FLOAT, shape)],
        ), opset_imports=[helper.make_opsetid('', tensorrt_export.OPSET)], ir_version=10,
    )  # fmt: skip
    if kind == 'Relu':
        onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def test_engine_is_built_for_several_absent_gpus() -> None:
    built = tensorrt_export.build(graph(), RTX, ['86', '120'])
    assert len(built.content) > 1000
    assert built.gpu == {'name': '', 'capabilities': ['8.6', '12.0']}
    assert set(built.libraries) == {RTX}


def attention(width: int) -> bytes:
    """Return a graph of attention of one head on (batch, 1, 480, width) in bfloat16."""
    shape, kind = ['batch', 1, 480, width], TensorProto.BFLOAT16
    names = ('query', 'key', 'value')
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node('Attention', names, ['y'])], 'one',
            [helper.make_tensor_value_info(name, kind, shape) for name in names],
            [helper.make_tensor_value_info('y', kind, shape)],
        ), opset_imports=[helper.make_opsetid('', tensorrt_export.OPSET)], ir_version=10,
    )  # fmt: skip
    return bytes(proto.SerializeToString())


def test_attention_without_fused_kernel_is_decomposed() -> None:
    assert len(tensorrt_export.build(attention(640), RTX, ['89']).content) > 1000


def test_unsupported_operation_is_refused_by_name() -> None:
    with raises('tensorrt-parse-failed', RTX, 'Abacus', '--engine onnx'):
        tensorrt_export.build(graph('Abacus'), RTX, ['86'])


def test_builder_that_cannot_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(logger: object) -> None:
        raise TypeError('pybind11::init(): factory function returned nullptr')

    monkeypatch.setattr(tensorrt_export.import_library(RTX), 'Builder', fail)
    with raises('tensorrt-builder-failed', RTX, '--engine pytorch'):
        tensorrt_export.build(graph(), RTX, ['86'])


@pytest.mark.parametrize(('kind', 'capability', 'code', 'named'), [
    (RTX, '8.6', 'capability-malformed', ('8.6', '89')),
    (RTX, '11', 'capability-unknown', ('11', RTX, '75 80 86 89')),
    ('tensorrt', '89', 'capability-unsupported', ('tensorrt', '--capability')),
])  # fmt: skip
def test_invalid_capability_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: str, capability: str, code: str, named: tuple[str, ...]
) -> None:
    library = tensorrt_export.import_library(RTX)
    monkeypatch.setattr(tensorrt_export, 'import_library', lambda kind: library)
    with raises(code, *named):
        tensorrt_export.check(kind, True, [capability])


@pytest.mark.parametrize(('capability', 'known'), [('9.0', False), ('8.9', True), ('13.0', True)])
def test_gpu_that_the_library_does_not_run_on_is_refused(
    monkeypatch: pytest.MonkeyPatch, capability: str, known: bool
) -> None:
    device = cuda.Device('NVIDIA H200', capability, 150 * 10**9, '13.0')
    monkeypatch.setattr(cuda, 'probe', lambda: cuda.Probe(device))
    if known:
        tensorrt_export.check(RTX, False, [])
        return
    with raises('tensorrt-gpu-unsupported', RTX, 'NVIDIA H200', 'sm_90', '--engine pytorch'):
        tensorrt_export.check(RTX, False, [])
    tensorrt_export.check(RTX, True, ['89'])


@without_gpu
def test_build_without_gpu_needs_build_only() -> None:
    with raises('tensorrt-gpu-missing', '--build-only', '--capability'):
        tensorrt_export.check(RTX, False, ['86'])
    tensorrt_export.check(RTX, True, ['86'])


@pytest.mark.slow
@without_gpu
@pytest.mark.timeout(900)
def test_engine_built_ahead_is_refused_until_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = engine_folder('', 'tray_lift'), tmp_path / 'engine'
    given = ['--engine', RTX, '--precision', 'float16', '--build-only', '--capability', '86', '89']
    assert main([str(folder), '--out', str(out), *given]) == 0
    assert 'not compared with PyTorch' in capsys.readouterr().out.replace('\n', ' ')
    content = json.loads((out / 'engine.json').read_text())
    assert content['gpu']['capabilities'] == ['8.6', '8.9']
    assert content['parity'] is None
    assert content['precision'] == 'float16'
    assert RTX in content['libraries']
    with raises('engine-unmeasured', '--measure'):
        load(out, 'tray_lift')
    content['parity'] = 0.001  # as after a comparison
    content['checksum'] = manifest.checksum(content)
    (out / 'engine.json').write_text(json.dumps(content))
    with raises('engine-needs-gpu', out):
        load(out, 'tray_lift')
