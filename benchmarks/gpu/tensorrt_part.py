# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Part 6: TensorRT-RTX on this GPU: build, error and speed.

The shipped engine runs as on a robot, from the export to the estimate; a few layers of the 5B are
compared with PyTorch. Only this part needs ``tensorrt_rtx``.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from viva_ros.core.errors import EngineError
from viva_ros.engine.api import Engine
from viva_ros.engine.backends import cuda
from viva_ros.engine.backends.pytorch import PytorchEngine
from viva_ros.engine.backends.tensorrt import TensorrtRtxEngine, check_gpu, import_library
from viva_ros.engine.manifest import FLOAT32, GRAPH, read_manifest, write_manifest
from viva_ros.engine.preprocessing import pack
from viva_ros.engine.resources import shared_folder
from viva_ros.export import tensorrt as tensorrt_export
from viva_ros.export.bundle import (
    COPIED,
    HALVES,
    PLAN,
    BundleStage,
    EngineFile,
    ExportPlan,
    describe,
    make_file,
)
from viva_ros.export.graph import OPSET, make_graph, open_source
from viva_ros.export.parity import ParitySample

from . import correctness, tensorrt_layers
from .part import Part, SkipError, run
from .tensorrt_plan import in_own_process

AHEAD: Final = Path(__file__).resolve().parent / 'pack' / 'ahead'
PRECISIONS: Final = ('float16', FLOAT32, 'bfloat16')
MEASURED: Final = 40  # moments of the comparison that 'viva export' makes
REPETITIONS: Final = 200
PYTORCH: Final = 'pytorch'
Load = Callable[[Path, str], Engine]


def measure(part: Part) -> None:
    """Measure all rows, the most important first; stop if one operation fails."""
    if 'error' in part.row('library', about):
        return
    cases = {'for this GPU': (), 'ahead': _known(), 'ahead for 80': ('80',)}
    for name, capabilities in cases.items():
        part.row(f'one operation, built {name}', partial(_one, part, capabilities), needs=10.0)
    ran = [
        c for name, c in cases.items() if part.rows[f'one operation, built {name}'].get('right')
    ]
    if part.device.type == 'cuda' and not ran:
        part.put('stopped', 'TensorRT-RTX does not run one operation on this GPU')
        return
    target = ran[0] if ran else (tensorrt_layers.AHEAD,)
    part.put('built_for', ' '.join(target) or 'this GPU')
    with tempfile.TemporaryDirectory() as place:
        Shipped(part, Path(place), target).rows()
    tensorrt_layers.measure(part, target)


def about() -> dict[str, Any]:
    """Return version and target GPUs of the library, and the GPU of this machine."""
    began = time.monotonic()
    library, found = import_library(tensorrt_export.RTX), cuda.probe()
    facts = {
        'version': library.__version__, 'import_s': time.monotonic() - began,
        'builds_ahead_for': ' '.join(_known()),
    }  # fmt: skip
    if found.device is None:
        return facts | {'gpu': found.reason}
    return facts | {
        'gpu': found.device.name, 'capability': found.device.capability,
        'driver_cuda': found.device.driver,
    }  # fmt: skip


def _known() -> tuple[str, ...]:
    """Return the compute capabilities that engines in bfloat16 can be built ahead for."""
    names = import_library(tensorrt_export.RTX).ComputeCapability.__members__
    return tuple(name[2:] for name in names if name[2:].isdigit() and int(name[2:]) >= 80)


def _one(part: Part, capabilities: tuple[str, ...]) -> dict[str, Any]:
    on_gpu = part.device.type == 'cuda'
    if not capabilities:
        part.need_cuda('an engine for the GPU that is here')
    return in_own_process(capabilities, on_gpu) | {'capabilities': ' '.join(capabilities)}


class Shipped:
    """
    Rows of the shipped engine.

    :param place: folder for the engines that are built
    :param target: capabilities that they are built for; none: the GPU of this machine
    """

    def __init__(self, part: Part, place: Path, target: tuple[str, ...]) -> None:
        self._part, self._place, self._target = part, place, target
        shipped = shared_folder('engines') / correctness.ENGINE
        self._folder = correctness.private_copy(shipped, place)
        self._source = open_source(self._folder)
        self._compare = correctness.reference(part, self._folder)

    def rows(self) -> None:
        """Measure engines built here, PyTorch, and the engine built ahead."""
        part = self._part
        for precision in PRECISIONS:
            needs = 0.0 if part.tiny else 30.0
            part.row(f'shipped, {precision}', partial(self._built, precision), needs)
        for precision in (FLOAT32, 'float16'):
            part.row(f'shipped, {precision}, PyTorch', partial(self._pytorch, precision), 8.0)
        part.row('shipped, built ahead', self._ahead, needs=8.0)

    def _built(self, precision: str) -> dict[str, Any]:
        """Export, build and compare."""
        self._part.need_cuda('an engine for the GPU that is here')
        began = time.monotonic()
        if precision == FLOAT32:
            opset, graph = OPSET, (self._folder / GRAPH).read_bytes()
        else:
            opset = tensorrt_export.OPSET
            graph = make_graph(self._source, opset, HALVES[precision])
        exported = time.monotonic()
        built = tensorrt_export.build(graph, tensorrt_export.RTX, self._target)
        found = {
            'export_s': exported - began, 'build_s': time.monotonic() - exported,
            'plan_mb': len(built.content) / 1e6,
        }  # fmt: skip
        made = EngineFile(PLAN, built.content, {'opset': opset}, _here(), built.libraries)
        folder = self._write(tensorrt_export.RTX, precision, made)
        return found | self._ask(folder, TensorrtRtxEngine) | self._verdict(folder)

    def _pytorch(self, precision: str) -> dict[str, Any]:
        """Compare the engine of PyTorch in the same way."""
        self._part.need_cuda('the engine of PyTorch on a GPU')
        made = make_file(self._source, ExportPlan(PYTORCH, precision), [])
        folder = self._write(PYTORCH, precision, made)
        return self._ask(folder, partial(PytorchEngine, device='cuda'))

    def _ahead(self) -> dict[str, Any]:
        """Compare the engine that was built on a machine without a GPU."""
        self._part.need_cuda('running an engine of TensorRT-RTX')
        if not AHEAD.is_dir():
            raise SkipError(f'{AHEAD.name} is missing: run pack.sh --tensorrt')
        folder = correctness.private_copy(AHEAD, self._place)
        manifest = read_manifest(folder)
        facts = {'precision': manifest.precision, 'built_for': manifest.gpu['capabilities']}
        if self._target:  # only an engine for other GPUs ran: check_gpu would refuse this one
            manifest = replace(manifest, gpu=_here())
        device = cuda.probe().device
        assert device is not None
        try:
            check_gpu(manifest, device)
        except EngineError as error:
            raise SkipError(str(error)) from error
        self._complete(folder)
        write_manifest(folder, replace(manifest, parity=0.0))
        return facts | self._ask(folder, TensorrtRtxEngine) | self._verdict(folder)

    def _write(self, kind: str, precision: str, made: EngineFile) -> Path:
        """Write an engine's folder as ``BundleStage`` does, as if it had been compared."""
        folder = self._place / f'{kind}_{precision}'
        folder.mkdir(mode=0o700)
        self._complete(folder)
        (folder / made.name).write_bytes(made.content)
        (folder / made.name).chmod(0o600)
        described = describe(self._source, kind, precision, made)
        write_manifest(folder, replace(described, parity=0.0))
        return folder

    def _complete(self, folder: Path) -> None:
        """Add the checkpoint."""
        for name in COPIED:
            shutil.copyfile(self._folder / name, folder / name)
            (folder / name).chmod(0o600)

    def _ask(self, folder: Path, load: Load) -> dict[str, Any]:
        """Load as a robot does; compare on all moments, and time single estimates."""
        moments, engines = self._compare.moments, {}
        began = time.monotonic()
        engines[moments[0].task] = first = load(folder, moments[0].task)
        loaded = time.monotonic()
        first.estimate(moments[0].observation)
        found = {'load_s': loaded - began, 'first_s': time.monotonic() - loaded}
        for task in {moment.task for moment in moments} - set(engines):
            engines[task] = load(folder, task)
        found |= self._compare.differences(lambda seen, task: engines[task].estimate(seen))
        found |= wall_times(lambda: first.estimate(moments[0].observation))
        for engine in engines.values():
            engine.close()
        return found

    def _verdict(self, folder: Path) -> dict[str, Any]:
        """Return whether ``viva export --measure`` accepts the engine, on some of the moments."""
        chosen = self._compare.moments[:: max(1, len(self._compare.moments) // MEASURED)]
        samples = []
        for moment in chosen:
            images, proprio = pack([moment.observation], self._compare.info)
            samples.append(ParitySample(images[0], proprio[0], moment.task))
        try:
            with BundleStage(folder, folder) as stage:
                manifest = stage.measure_again(self._source, samples)
        except EngineError as error:
            return {'accepted': False, 'refused': str(error)[:200]}
        return {'accepted': True, 'measured_value_max': manifest.parity}


def _here() -> dict[str, Any]:
    """Return the GPU of this machine in the form of an engine's description."""
    device = cuda.probe().device
    assert device is not None
    return {'name': device.name, 'capabilities': [device.capability], 'driver': device.driver}


def wall_times(work: Callable[[], Any]) -> dict[str, Any]:
    """Return p50 and p95 of single calls by the wall clock, ms."""
    times = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - began))
    return {
        'p50_ms': float(np.percentile(times, 50)), 'p95_ms': float(np.percentile(times, 95)),
        'repetitions': REPETITIONS, 'clock': 'wall',
    }  # fmt: skip


if __name__ == '__main__':
    torch.set_grad_enabled(False)
    raise SystemExit(run(__doc__, measure))
