# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A batch of observations gives the estimates of single calls, which run live."""

import numpy as np
import pytest
from support.errors import raises

from viva_ros.core.observation import Observation
from viva_ros.engine.api import BatchEngine, Engine
from viva_ros.engine.factory import load
from viva_ros.engine.resources import engine_folder


def observations(info, count: int) -> list[Observation]:
    random = np.random.default_rng(0)
    size = (*info.image_size, 3)
    return [
        Observation(
            {c: random.integers(0, 255, size, dtype=np.uint8) for c in info.cameras},
            dict(zip(info.joint_names, random.uniform(-0.5, 0.5, 99), strict=False)),
            {'joint_states': 1},
        )
        for _ in range(count)
    ]  # fmt: skip


@pytest.mark.medium
@pytest.mark.timeout(300)  # torch takes long to import on a busy machine
@pytest.mark.parametrize('kind', ['onnx', 'openvino', 'pytorch'])
def test_shipped_engine_batch_equals_single_estimates(kind: str) -> None:
    engine = load(engine_folder('', 'tray_lift'), 'tray_lift', kind)
    batch = observations(engine.info, 3)
    assert isinstance(engine, BatchEngine)
    together = engine.estimate_batch(batch)
    alone = [engine.estimate(one) for one in batch]
    assert [one.value for one in together] == pytest.approx([o.value for o in alone], abs=1e-6)
    assert len({one.value for one in alone}) == 3
    for one, other in zip(together, alone, strict=True):
        assert one.forecast == pytest.approx(dict(other.forecast), abs=1e-5)


def test_invalid_observation_fails_its_batch(shipped_engine: Engine) -> None:
    assert isinstance(shipped_engine, BatchEngine)
    good, bad = observations(shipped_engine.info, 2)
    batch = [good, Observation({}, bad.proprio, bad.stamps)]
    with raises('camera-missing', *shipped_engine.info.cameras):
        shipped_engine.estimate_batch(batch)
