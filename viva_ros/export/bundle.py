# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Write an engine folder: engine file, description, copy of the checkpoint.

The files are written to a temporary folder; the engine is loaded from there as on a robot and
compared with PyTorch. Only a complete engine within the limits is moved to the final folder, the
description last.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import torch

from viva_ros.console.provenance import command_line, versions
from viva_ros.core.errors import EngineError
from viva_ros.core.files import write_atomically
from viva_ros.core.settings import setting, validate
from viva_ros.engine.api import Engine
from viva_ros.engine.backend import BACKENDS, is_installed, runs_onnx
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import (
    CHECKPOINT,
    FLOAT32,
    FORMAT,
    GRAPH,
    LARGEST_DIFFERENCE,
    MANIFEST,
    ONNX,
    EngineFolder,
    Manifest,
    check_building_place,
    fingerprint,
    read_manifest,
    write_manifest,
)
from viva_ros.engine.manifest_schema import ListedFile
from viva_ros.export import parity, quantization
from viva_ros.export.graph import OPSET, CheckpointSource, make_graph, open_source, run_of
from viva_ros.export.mixed_precision import find_seam
from viva_ros.export.parity import Differences, ParitySample, take_samples
from viva_ros.export.quantization import Rounding
from viva_ros.model import checkpoint
from viva_ros.model.checkpoint import WEIGHTS
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.viva import ViVa

INT8: Final = 'int8'
FP8: Final = 'fp8'
PROPRIO: Final = 'proprio'  # the baseline without cameras
EIGHT_BITS: Final = (INT8, FP8)
BFLOAT16: Final = 'bfloat16'
HALVES: Final = {'float16': torch.float16, BFLOAT16: torch.bfloat16}
MARGIN: Final = 0.75  # share of the largest difference: other moments may differ more
PLAN: Final = 'engine.plan'
RANKING_MOMENTS: Final = 32  # moments that rank the layers by their quantization error


@dataclass(frozen=True)
class EngineFile:
    """
    An engine file and how it was made.

    :param name: file name in the engine folder
    :param facts: entries of the provenance
    :param gpu: GPU that the engine runs on; empty for a CPU
    :param libraries: versions of the libraries that the engine requires
    :param seam: tensor up to which the engine computes in bfloat16, see ``Manifest``
    """

    name: str
    content: bytes
    facts: Mapping[str, Any]
    gpu: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    seam: str = ''


def make_file(
    source: CheckpointSource, plan: 'ExportPlan', samples: Sequence[ParitySample]
) -> EngineFile:
    """
    Make the engine file by the builder of the backend.

    :param samples: moments that set the ranges of quantization
    :raises EngineError: if the library lacks the precision, is missing, or cannot build
    """
    known = BACKENDS[plan.kind].precisions
    if plan.precision not in known:
        raise EngineError(
            'precision-unsupported',
            f'precision is {plan.precision!r}, for {plan.kind} it must be one of '
            f'{", ".join(known)}',
        )
    if source.kind == PROPRIO and (plan.precision in HALVES or plan.kind == 'pytorch'):
        raise EngineError(
            'proprio-engine-unsupported',
            f'{source.folder} is a model without cameras, it has no {plan.precision} engine for '
            f'{plan.kind}: use --engine onnx or openvino, and float32',
        )
    module, name = BACKENDS[plan.kind].builder.split(':')
    made: EngineFile = getattr(import_module(module), name)(source, plan, samples)
    return made


def graph_file(
    source: CheckpointSource, plan: 'ExportPlan', samples: Sequence[ParitySample]
) -> EngineFile:
    """Make an ONNX graph for onnxruntime and OpenVINO."""
    if plan.precision == BFLOAT16:
        graph = make_graph(source)
        return EngineFile(GRAPH, graph, {'opset': OPSET}, seam=_seam(source, graph, samples))
    graph, facts = _graph(source, plan, samples, OPSET)
    return EngineFile(GRAPH, graph, facts)


def _graph(
    source: CheckpointSource, plan: 'ExportPlan', samples: Sequence[ParitySample], opset: int
) -> tuple[bytes, dict[str, Any]]:
    graph = make_graph(source, opset, HALVES.get(plan.precision, torch.float32))
    if plan.precision not in EIGHT_BITS:
        return graph, {'opset': opset}
    feeds, values = _moments(source, samples)
    names, step = quantization.layers(graph), max(1, len(feeds) // RANKING_MOMENTS)
    make: Callable[[Sequence[str]], bytes]
    quick: Callable[[Sequence[str]], bytes]
    if BACKENDS[plan.kind].runs_onnx:
        make = partial(quantization.quantize, graph, feeds)
        quick = partial(quantization.quantize, graph, feeds[::step])
    else:
        make = quick = Rounding(graph, feeds, plan.precision)
    made, stayed = quantization.quantize_within(
        names, make,
        lambda name: _value_error(quick([name]), plan.kind, feeds[::step], values[::step]),
        lambda made: _value_error(made, plan.kind, feeds, values), MARGIN * LARGEST_DIFFERENCE,
    )  # fmt: skip
    return made, {
        'opset': opset, 'layers_in_8_bits': len(names) - len(stayed),
        'layers_in_float32': stayed,
    }  # fmt: skip


def _value_error(
    graph: bytes, kind: str, feeds: Sequence[dict[str, Any]], values: Sequence[float]
) -> float:
    """Return the largest absolute error of the value; NaN if one value is NaN."""
    run = run_of(graph, kind)
    found = [float(run(feed)['value'].reshape(-1)[0]) for feed in feeds]
    return float(np.max(np.abs(np.array(found) - np.array(values))))


def _seam(source: CheckpointSource, graph: bytes, samples: Sequence[ParitySample]) -> str:
    feeds, values = _moments(source, samples)
    return find_seam(
        graph, feeds, values, lambda seam: run_of(graph, 'openvino', seam),
        MARGIN * LARGEST_DIFFERENCE,
    )  # fmt: skip


def _moments(
    source: CheckpointSource, samples: Sequence[ParitySample]
) -> tuple[list[dict[str, Any]], list[float]]:
    """Return the graph inputs of recorded moments, and the model's values in float32."""
    expected = parity.expect(source, samples)
    return [s.feeds(source) for s in samples], [float(one['value']) for one in expected]


def weights_file(
    source: CheckpointSource, plan: 'ExportPlan', samples: Sequence[ParitySample]
) -> EngineFile:
    """Return the weights of the checkpoint: PyTorch runs the model itself."""
    return EngineFile(WEIGHTS, (source.folder / WEIGHTS).read_bytes(), {})


def compiled_file(
    source: CheckpointSource, plan: 'ExportPlan', samples: Sequence[ParitySample]
) -> EngineFile:
    """Compile a graph with TensorRT or TensorRT-RTX."""
    from viva_ros.export import tensorrt as tensorrt_export

    tensorrt_export.check(plan.kind, plan.build_only, plan.capabilities)
    opset = tensorrt_export.OPSET if plan.precision in HALVES else OPSET
    graph, facts = _graph(source, plan, samples, opset)
    built = tensorrt_export.build(graph, plan.kind, plan.capabilities)
    return EngineFile(PLAN, built.content, facts, built.gpu, built.libraries)


LIBRARIES: Final = ('torch', 'diffusers', 'onnx', 'onnxscript', 'onnxruntime', 'openvino')


def describe(source: CheckpointSource, kind: str, precision: str, made: EngineFile) -> Manifest:
    """Return the description of an engine before its comparison with PyTorch."""
    provenance = {
        'export': command_line('export'), CHECKPOINT: source.fingerprint,
        'training': dict(source.provenance), **made.facts,
    }  # fmt: skip
    digest = hashlib.sha256(made.content).hexdigest()
    return Manifest(
        FORMAT, source.kind, digest, source.cameras, source.image_size, source.ranges,
        source.horizon, source.tasks,
        fingerprint(source.fingerprint, digest, made.seam),
        float('nan'), 0, provenance, kind, made.name, precision,
        runs_onnx() if BACKENDS[kind].runs_onnx else (kind,), made.gpu,
        {**versions(LIBRARIES), **made.libraries},
        source.weights, _inputs(source), _texts(source), seam=made.seam,
    )  # fmt: skip


def _inputs(source: CheckpointSource) -> dict[str, Any]:
    return {
        name: {'type': str(tensor.dtype).removeprefix('torch.'), 'shape': ['B', *tensor.shape[1:]]}
        for name, tensor in source.example().items()
    }


def _texts(source: CheckpointSource) -> dict[str, Any]:
    """Return text, encoder and hash of each task embedding, to compare engines without weights."""
    model = source.model
    if not isinstance(model, ViVa | EarlyExit):
        return {}
    viva = model.viva if isinstance(model, EarlyExit) else model
    config = viva.config
    texts = config.texts or config.tasks
    return {
        task: {
            'text': text, 'encoder': config.text_encoder or config.text,
            'sha256': hashlib.sha256(rows.numpy().tobytes()).hexdigest(),
        }
        for task, text, rows in zip(config.tasks, texts, viva.text, strict=True)
    }  # fmt: skip


COPIED: Final = (checkpoint.WEIGHTS, checkpoint.DESCRIPTION)


@dataclass(frozen=True)
class ExportPlan:
    """
    Library and precision of the engine.

    :param kind: one of BACKENDS
    :raises ConfigurationError: if a value has the wrong type
    """

    kind: str = setting(ONNX, 'Library that runs the engine.')
    precision: str = setting(FLOAT32, 'Precision of the arithmetic.')
    build_only: bool = setting(
        False, 'Build for a GPU of another machine, without the comparison; see --measure.'
    )
    capabilities: tuple[str, ...] = setting(
        (),
        'Compute capabilities of the GPUs that tensorrt_rtx builds for, such as 86 89; default: '
        'that of the GPU of this machine.',
    )

    def __post_init__(self) -> None:
        validate(self)


def check_gpu_for(precision: str) -> None:
    """
    Require a GPU: on a CPU, PyTorch runs the model in float32, not in the precision to compare.

    :raises EngineError: if there is no GPU
    """
    if not torch.cuda.is_available():
        raise EngineError(
            'parity-gpu-missing',
            f'pytorch computes in {precision} only on a GPU, and this machine has none: add '
            "--build-only, and run 'viva export FOLDER --measure --recordings DIR' on the machine "
            'with the GPU',
        )


class BundleStage:
    """
    A temporary folder next to the final one, deleted at the end.

    :param out: final folder
    :param source: folder of the checkpoint, which is copied
    """

    def __init__(self, out: Path, source: Path) -> None:
        self._out, self._source = out, source
        parent = out.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f'.{out.name}.', suffix='.tmp', dir=parent))

    def __enter__(self) -> 'BundleStage':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(
        self,
        source: CheckpointSource,
        plan: ExportPlan,
        made: EngineFile,
        samples: Sequence[ParitySample],
    ) -> Manifest:
        """
        Compare the engine with PyTorch and move it to the final folder.

        :raises EngineError: if the difference is above the limit, or the engine cannot be loaded
        """
        for name in COPIED:
            shutil.copyfile(self._source / name, self.folder / name)
        if made.name not in COPIED:
            write_atomically(self.folder / made.name, made.content)
        manifest = describe(source, plan.kind, plan.precision, made)
        if plan.build_only:
            manifest = replace(manifest, runs=(plan.kind,))
        else:
            manifest = self._measured(manifest, source, samples)
        names = [*COPIED, made.name]
        manifest = write_manifest(self.folder, manifest, self._kept({*names}))
        self._move([*names, MANIFEST])
        return manifest

    def _kept(self, replaced: Set[str]) -> dict[str, ListedFile]:
        """Return the entries of files that stay in the final folder, such as calibrations."""
        if not (self._out / MANIFEST).exists():
            return {}
        try:
            listed = read_manifest(self._out).files
        except EngineError:  # its other files are refused until 'viva stamp' has listed them
            return {}
        return {name: one for name, one in listed.items() if name not in replaced}

    def measure_again(self, source: CheckpointSource, samples: Sequence[ParitySample]) -> Manifest:
        """Compare the engine in the final folder with PyTorch, and update its description."""
        folder = EngineFolder(self._out)
        for name in {*COPIED, folder.description.file}:
            shutil.copyfile(folder.open(name).path, self.folder / name)
        manifest = self._measured(folder.description, source, samples)
        manifest = write_manifest(self.folder, manifest, folder.description.files)
        self._move([MANIFEST])
        return manifest

    def _measured(
        self, manifest: Manifest, source: CheckpointSource, samples: Sequence[ParitySample]
    ) -> Manifest:
        """Return the description with the differences of each library that runs the engine."""
        if manifest.kind == 'pytorch' and manifest.precision != FLOAT32:
            check_gpu_for(manifest.precision)
        kinds = [manifest.kind]
        if BACKENDS[manifest.kind].runs_onnx:
            others = [kind for kind in runs_onnx() if kind not in kinds]
            kinds += [kind for kind in others if is_installed(kind)]
        write_manifest(self.folder, replace(manifest, parity=0.0))  # NaN would refuse loading
        expected = parity.expect(source, samples)
        found: dict[str, Differences] = {}
        for kind in kinds:
            differences = self._compare(kind, source, samples, expected)
            if kind == manifest.kind or differences.value <= LARGEST_DIFFERENCE:
                found[kind] = differences
        worst = max(differences.value for differences in found.values())
        parity.check(found[manifest.kind], f'the engine for {manifest.kind}')
        described = {kind: asdict(differences) for kind, differences in found.items()}
        return replace(
            manifest, parity=worst, moments=len(samples), runs=tuple(found),
            differences=described,
        )  # fmt: skip

    def _compare(
        self, kind: str, source: CheckpointSource, samples: Sequence[ParitySample], expected: Any
    ) -> Differences:
        engines: dict[str, Engine] = {}
        try:
            for task in {sample.task for sample in samples}:
                engines[task] = load(self.folder, task, kind)
            return parity.compare(
                source, samples, expected, lambda seen, task: engines[task].estimate(seen)
            )
        finally:
            for engine in engines.values():
                engine.close()

    def _move(self, names: Sequence[str]) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys(names):
            (self.folder / name).chmod(0o644)
            (self.folder / name).replace(self._out / name)


def export(
    folder: Path, out: Path, recordings: Sequence[Path], plan: ExportPlan | None = None
) -> Manifest:
    """
    Write an engine folder.

    :param folder: of the checkpoint
    :param recordings: for the comparison, and for the ranges of quantization
    :param plan: library and precision; None: onnxruntime, float32
    :raises EngineError: if the difference from PyTorch is above the limit, or the engine cannot
        be made; nothing is written then
    """
    plan = plan or ExportPlan()
    check_building_place(out)
    source = open_source(folder)
    needs_samples = not plan.build_only or plan.precision in EIGHT_BITS
    samples = take_samples(source, recordings) if needs_samples else []
    made = make_file(source, plan, samples)
    with BundleStage(out, folder) as stage:
        return stage.finish(source, plan, made, samples)


def measure(folder: Path, recordings: Sequence[Path]) -> Manifest:
    """
    Compare an engine built with --build-only with its checkpoint, and update its description.

    :raises EngineError: if the engine cannot run on this machine, or the difference is above the
        limit; the description is not changed then
    """
    source = open_source(folder)
    samples = take_samples(source, recordings)
    with BundleStage(folder, folder) as stage:
        return stage.measure_again(source, samples)
