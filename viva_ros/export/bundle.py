# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An engine's folder before it has its name.

It is loaded from there as a robot would, compared, and moved only then: nothing half-written and
nothing that differs is ever under a final name. The description is moved last.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import torch

from viva_ros.core.errors import EngineError
from viva_ros.engine import manifest as manifests
from viva_ros.engine.api import Engine, load
from viva_ros.engine.backends.onnx_graph import GRAPHS
from viva_ros.engine.factory import is_installed
from viva_ros.engine.manifest import FLOAT32, MANIFEST, ONNX, Manifest
from viva_ros.export import parity
from viva_ros.export.graph import Source
from viva_ros.export.parity import Differences, Sample
from viva_ros.model import checkpoint
from viva_ros.offline.engine_description import describe
from viva_ros.offline.engine_file import EngineFile

COPIED: Final = (checkpoint.WEIGHTS, checkpoint.DESCRIPTION)


@dataclass(frozen=True)
class Plan:
    """
    What is to be made.

    :param kind: library, as in ``engine.KINDS``, but 'auto'
    :param precision: of its arithmetic
    :param build_only: do not compare: it is for another machine
    :param capabilities: of the GPUs that it is for, such as '86'; none: the one that is here
    """

    kind: str = ONNX
    precision: str = FLOAT32
    build_only: bool = False
    capabilities: tuple[str, ...] = ()


def check_gpu_for(precision: str) -> None:
    """
    Refuse to compare on a CPU, which runs the model as trained, what a GPU will run otherwise.

    :raises EngineError: if there is no GPU
    """
    if not torch.cuda.is_available():
        raise EngineError(
            f'pytorch computes in {precision} on a GPU alone, and none is here to compare with: '
            "add --build-only, and run 'viva export FOLDER --measure --recordings DIR' where it is"
        )


class Stage:
    """
    A folder beside the final one, gone at the end.

    :param out: final folder
    :param source: of the checkpoint, which is copied
    """

    def __init__(self, out: Path, source: Path) -> None:
        self._out, self._source = out, source
        parent = out.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f'.{out.name}.', suffix='.tmp', dir=parent))

    def __enter__(self) -> 'Stage':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(
        self, source: Source, plan: Plan, made: EngineFile, samples: Sequence[Sample]
    ) -> Manifest:
        """
        Compare and move.

        :raises EngineError: if it differs too much, or cannot be loaded
        """
        for name in COPIED:
            shutil.copyfile(self._source / name, self.folder / name)
        if made.name not in COPIED:
            (self.folder / made.name).write_bytes(made.content)
        manifest = describe(source, plan.kind, plan.precision, made)
        if plan.build_only:
            manifest = replace(manifest, runs=(plan.kind,))
        else:
            manifest = self._measured(manifest, source, samples)
        manifests.write(self.folder, manifest)
        self._move([*COPIED, made.name, MANIFEST])
        return manifest

    def measure_again(self, source: Source, samples: Sequence[Sample]) -> Manifest:
        """Compare the engine that is in the final folder."""
        manifest = manifests.read(self._out)
        for name in {*COPIED, manifest.file}:
            shutil.copyfile(self._out / name, self.folder / name)
        manifest = self._measured(manifest, source, samples)
        manifests.write(self.folder, manifest)
        self._move([MANIFEST])
        return manifest

    def _measured(self, manifest: Manifest, source: Source, samples: Sequence[Sample]) -> Manifest:
        """Give the description with what was found by each library that can run the engine."""
        if manifest.kind == 'pytorch' and manifest.precision != FLOAT32:
            check_gpu_for(manifest.precision)
        kinds = [manifest.kind]
        if manifest.kind in GRAPHS:
            kinds += [kind for kind in GRAPHS if kind not in kinds and is_installed(kind)]
        manifests.write(self.folder, replace(manifest, parity=0.0))  # to be loaded at all
        expected = parity.expect(source, samples)
        found: dict[str, Differences] = {}
        for kind in kinds:
            differences = self._compare(kind, source, samples, expected)
            if kind == manifest.kind or differences.value <= manifests.LARGEST_DIFFERENCE:
                found[kind] = differences
        worst = max(differences.value for differences in found.values())
        parity.check(found[manifest.kind], f'the engine for {manifest.kind}')
        described = {kind: asdict(differences) for kind, differences in found.items()}
        return replace(
            manifest, parity=worst, moments=len(samples), runs=tuple(found),
            differences=described,
        )  # fmt: skip

    def _compare(
        self, kind: str, source: Source, samples: Sequence[Sample], expected: Any
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
