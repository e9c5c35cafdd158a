# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An observation through the CUDA graph code, with a fake GPU.

Capturing runs the model on the CPU, so the first estimate is checked; replay and the order of
copies in a stream need a real GPU.
"""

from contextlib import nullcontext
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Observation
from viva_ros.engine.backends.pytorch import PytorchEngine
from viva_ros.engine.resources import engine_folder

TASK = 'tray_lift'


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import_module('viva_ros.model.cuda_graph')  # before torch.cuda is patched
    import_module('viva_ros.model.checkpoint')
    to = torch.nn.Module.to

    def stay(module: torch.nn.Module, target: Any) -> torch.nn.Module:
        return module if target == 'cuda' else to(module, target)

    monkeypatch.setattr(torch.nn.Module, 'to', stay)
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda tensor: tensor)
    stream = SimpleNamespace(synchronize=lambda: None)
    for name, fake in {
        'Stream': lambda: stream, 'stream': nullcontext, 'synchronize': lambda: None,
        'CUDAGraph': lambda: SimpleNamespace(replay=lambda: None), 'empty_cache': lambda: None,
        'graph': lambda *_, **__: nullcontext(), 'get_device_name': lambda: 'fake GPU',
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, fake)


@pytest.mark.medium
def test_graphed_model_equals_cpu_at_any_image_size(gpu: None) -> None:
    folder = engine_folder('', TASK)
    engine, plain = PytorchEngine(folder, TASK, 'cuda'), PytorchEngine(folder, TASK, 'cpu')
    assert engine.info.device == 'fake GPU'
    random = np.random.default_rng(0)
    sizes = ((128, 128), (120, 160), engine.info.image_size)
    pictures = [
        np.repeat(np.repeat(random.integers(0, 256, (8, 8, 3), np.uint8), h // 8, 0), w // 8, 1)
        for h, w in sizes
    ]
    images = dict(zip(engine.info.cameras, pictures, strict=True))
    joints = dict.fromkeys(engine.info.joint_names, 0.1)
    found, expected = (e.estimate(Observation(images, joints, {})) for e in (engine, plain))
    assert found.value == pytest.approx(expected.value, abs=2e-3)
    assert list(found.forecast.values()) == pytest.approx(
        list(expected.forecast.values()), abs=2e-3
    )
    batch = [Observation(images, dict.fromkeys(joints, 0.1 * n), {}) for n in range(3)]
    graphs = engine._runner._captured
    graphs.clear()
    given = [one.value for one in engine.estimate_batch(batch)]
    assert given == pytest.approx([plain.estimate(one).value for one in batch], abs=2e-3)
    assert sorted(graphs) == [1, 2]  # a batch of two and one of one: no graph for three
    engine.free()
    invalid = Observation({**images, 'head': np.zeros((4, 4, 3))}, joints, {})
    with raises('image-type', 'camera head', 'float64', of=InputError):
        engine.estimate(invalid)
    engine.close()
    plain.close()
