# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Part 1: difference of the shipped engine on the GPU from float32 on the CPU, on recorded inputs.

Each precision runs the complete path of a robot: images as sent by the camera, resized on the
device, one CUDA graph, numbers on the host.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.backends.pytorch import PytorchEngine
from viva_ros.engine.preprocessing import arrange, letterbox, pack, unpack
from viva_ros.engine.resources import shared_folder
from viva_ros.model import checkpoint
from viva_ros.model.cuda_graph import Fit, GraphedModel
from viva_ros.model.inference import LeanViVa

from .moments import Moment, load
from .part import Part, free, run

ENGINE: Final = 'viperx'
MOMENTS: Final = 200
AIM: Final = 0.005  # in value
CYCLES: Final = 10
#: Of cameras and models: (height, width), px.
FITTED: Final = (
    ((128, 128), (96, 96)), ((480, 640), (384, 320)), ((720, 1280), (384, 320)),
    ((240, 320), (384, 320)), ((1080, 1920), (256, 256)), ((333, 517), (96, 96)),
)  # fmt: skip
Ask = Callable[[Observation, str], Estimate]


def measure(part: Part) -> None:
    """Measure all rows."""
    with tempfile.TemporaryDirectory() as place:
        folder = private_copy(shared_folder('engines') / ENGINE, Path(place))
        compare = reference(part, folder)
        compare.all_precisions()
        part.row('fitting', lambda: fitting(part, compare.moments))
        cycles(part, folder, compare.moments[0])


def reference(part: Part, folder: Path) -> 'Comparison':
    """Return the moments with the engine's estimates in float32 on the CPU, to compare with."""
    engines = {task: PytorchEngine(folder, task, 'cpu') for task in _tasks(folder)}
    info = next(iter(engines.values())).info
    moments = load(info, 2 if part.tiny else MOMENTS)
    part.put('moments', {'count': len(moments.items), 'source': moments.source,
                         'failures': sum(not m.success for m in moments.items)})  # fmt: skip
    wanted = [engines[m.task].estimate(m.observation) for m in moments.items]
    return Comparison(part, folder, info, moments.items, wanted)


def private_copy(source: Path, place: Path) -> Path:
    """Copy an engine to a private folder: the permissions of the unpacked files may be refused."""
    target = place / source.name
    target.mkdir(mode=0o700)
    for file in source.iterdir():
        shutil.copyfile(file, target / file.name)
        (target / file.name).chmod(0o600)
    return target


def _tasks(folder: Path) -> Sequence[str]:
    return tuple(checkpoint.read_description(folder)['config']['tasks'])


def set_tf32(products: bool, convolutions: bool) -> None:
    """Allow rounding of float32 inputs to 10 bits of mantissa."""
    torch.backends.cuda.matmul.allow_tf32 = products
    torch.backends.cudnn.allow_tf32 = convolutions


class Comparison:
    """
    Compares the shipped engine in each precision with the CPU.

    :param wanted: estimates in float32 on the CPU
    """

    def __init__(
        self, part: Part, folder: Path, info: EngineInfo, moments: Sequence[Moment],
        wanted: Sequence[Estimate],
    ) -> None:  # fmt: skip
        self._part, self._folder, self.info = part, folder, info
        self.moments, self._wanted = moments, wanted
        ranges = checkpoint.read(folder).model.ranges
        span = np.array(ranges.high) - np.array(ranges.low)
        self._span = np.where(span > 0, span, np.inf)

    def all_precisions(self) -> None:
        """Measure the engine as loaded by default, then each precision separately."""
        part = self._part
        defaults = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
        part.put('tf32_defaults', {'products': defaults[0], 'convolutions': defaults[1]})
        part.row('engine as shipped', self._as_shipped)
        for name, kind, tf32 in (
            ('float32, TF32 off', torch.float32, (False, False)),
            ('float32, TF32 on', torch.float32, (True, True)),
            ('bfloat16', torch.bfloat16, defaults), ('float16', torch.float16, defaults),
        ):  # fmt: skip
            set_tf32(*tf32)
            part.row(name, lambda kind=kind: self._in(kind))
        set_tf32(*defaults)

    def _as_shipped(self) -> dict[str, Any]:
        device = self._part.device.type
        engines = {t: PytorchEngine(self._folder, t, device) for t in self.info.tasks}
        found = self.differences(lambda seen, task: engines[task].estimate(seen))
        for engine in engines.values():
            engine.close()
        return found

    def _in(self, kind: torch.dtype) -> dict[str, Any]:
        lean = LeanViVa(checkpoint.read(self._folder).model)
        if self._part.device.type == 'cpu':
            lean = lean.to_precision(kind).eval()
            return self.differences(lambda seen, task: self._eager(lean, seen, task))
        graphed = GraphedModel(lean, kind)
        found = self.differences(lambda seen, task: self._graph(graphed, seen, task))
        return found | self._graph_against_eager(graphed, lean)

    def differences(self, ask: Ask) -> dict[str, Any]:
        """Return the differences in value and in joints, rad and share of the joint's range."""
        given = [ask(moment.observation, moment.task) for moment in self.moments]
        pairs = list(zip(given, self._wanted, strict=True))
        value = np.array([abs(a.value - b.value) for a, b in pairs])
        joints = np.abs([_vector(a) - _vector(b) for a, b in pairs])
        share = joints / self._span
        return {
            'value_max': float(value.max()), 'value_mean': float(value.mean()),
            'joints_max_rad': float(joints.max()), 'joints_mean_rad': float(joints.mean()),
            'joints_max_share': float(share.max()), 'joints_mean_share': float(share.mean()),
            'meets_aim': bool(value.max() <= AIM), 'moments': len(given),
        }  # fmt: skip

    def _task(self, task: str) -> NDArray[np.int64]:
        return np.array([self.info.tasks.index(task)], dtype=np.int64)

    def _graph(self, graphed: GraphedModel, seen: Observation, task: str) -> Estimate:
        pictures, proprio = arrange(seen, self.info)
        feeds = {'proprio': proprio[None].astype(np.float32), 'task': self._task(task)}
        return self._estimate(graphed.run([pictures], feeds))

    def _eager(self, lean: LeanViVa, seen: Observation, task: str) -> Estimate:
        images, proprio = pack([seen], self.info)
        feeds = (torch.from_numpy(array) for array in (images, proprio, self._task(task)))
        with torch.inference_mode():
            return self._estimate([tensor.float().numpy() for tensor in lean(*feeds)])

    def _estimate(self, arrays: Sequence[NDArray[Any]]) -> Estimate:
        names = ('value', 'forecast', 'progress', 'success')[: len(arrays)]
        return unpack(dict(zip(names, arrays, strict=True)), self.info)[0]

    def _graph_against_eager(self, graphed: GraphedModel, lean: LeanViVa) -> dict[str, Any]:
        """Compare the CUDA graph with the same module in eager mode."""
        device, largest = self._part.device, 0.0
        fit = Fit(self.info.image_size, device)
        for moment in self.moments[:20]:
            replayed = self._graph(graphed, moment.observation, moment.task)
            pictures, proprio = arrange(moment.observation, self.info)
            with torch.inference_mode():
                outputs = lean(
                    fit([pictures]), torch.from_numpy(proprio[None].astype(np.float32)).to(device),
                    torch.from_numpy(self._task(moment.task)).to(device),
                )  # fmt: skip
            eager = self._estimate([tensor.cpu().numpy() for tensor in outputs])
            far = np.abs(_vector(replayed) - _vector(eager)).max()
            largest = max(largest, abs(replayed.value - eager.value), float(far))
        return {'graph_eager_max': largest, 'graph_equals_eager': largest == 0.0}


def _vector(estimate: Estimate) -> NDArray[np.float64]:
    return np.array(list(estimate.forecast.values()))


def fitting(part: Part, moments: Sequence[Moment]) -> dict[str, Any]:
    """Compare images resized on the device with those of the CPU, in levels of 255."""
    random, found = np.random.default_rng(1), {}
    picture = next(iter(moments[0].observation.images.values()))
    for sent, fitted in FITTED[:2] if part.tiny else FITTED:
        noise = random.integers(0, 256, (*sent, 3), dtype=np.uint8)
        seen = letterbox(picture, sent)
        for kind, image in (('noise', noise), ('camera', seen)):
            wanted = letterbox(image, fitted).astype(int)
            given = Fit(fitted, part.device)([[image]])[0, 0].cpu().numpy().astype(int)
            far = np.abs(given - wanted)
            name = f'{sent[0]}x{sent[1]} to {fitted[0]}x{fitted[1]}, {kind}'
            found[name] = {'max_levels': int(far.max()), 'differ': float((far > 0).mean())}
    worst = max(row['max_levels'] for row in found.values())
    return {'max_levels': worst, 'differ': max(r['differ'] for r in found.values()), 'of': found}


def cycles(part: Part, folder: Path, moment: Moment) -> None:
    """Load, run and close an engine repeatedly; write the memory after each cycle."""
    rows: list[dict[str, int]] = []

    def once() -> dict[str, Any]:
        engine = PytorchEngine(folder, moment.task, part.device.type)
        engine.estimate(moment.observation)
        engine.close()
        del engine
        free(part.device)
        rows.append(_memory(part))
        return {'after_each': list(rows)}

    for _ in range(2 if part.tiny else CYCLES):
        row = part.row('load and close', once)
    if 'error' not in row and len(rows) > 2:
        grown = {name: rows[-1][name] - rows[1][name] for name in rows[0]}
        row.update({'grown_since_second': grown, 'flat': grown['allocated'] <= 0})
        if clear := getattr(torch._C, '_cuda_clearCublasWorkspaces', None):
            clear()  # cuBLAS keeps some for each stream
            row['without_workspaces'] = _memory(part)
        part.save()


def _memory(part: Part) -> dict[str, int]:
    """Return bytes: resident in this process, and on the device."""
    gc.collect()
    pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[1])
    found = {'resident': pages * os.sysconf('SC_PAGE_SIZE'), 'allocated': 0}
    if part.device.type == 'cuda':
        free_now, _ = torch.cuda.mem_get_info()
        found |= {
            'allocated': torch.cuda.memory_allocated(), 'reserved': torch.cuda.memory_reserved(),
            'free_on_device': free_now,
        }  # fmt: skip
    return found


if __name__ == '__main__':
    raise SystemExit(run(__doc__, measure))
