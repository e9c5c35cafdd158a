# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several observations in one call give what each gives alone, which is what runs live."""

import numpy as np
import pytest

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Observation
from viva_ros.engine.api import BatchEngine
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


@pytest.mark.timeout(300)  # torch takes long to import on a busy machine
@pytest.mark.parametrize('kind', ['onnx', 'openvino', 'pytorch'])
def test_the_shipped_engine_in_a_batch_and_one_by_one(kind: str) -> None:
    engine = load(engine_folder('', 'tray_lift'), 'tray_lift', kind)
    seen = observations(engine.info, 3)
    assert isinstance(engine, BatchEngine)
    together = engine.estimate_batch(seen)
    alone = [engine.estimate(one) for one in seen]
    assert [one.value for one in together] == pytest.approx([o.value for o in alone], abs=1e-6)
    assert len({one.value for one in alone}) == 3
    for one, other in zip(together, alone, strict=True):
        assert one.forecast == pytest.approx(dict(other.forecast), abs=1e-5)


def test_one_that_cannot_be_used_is_an_error_of_the_batch() -> None:
    engine = load(engine_folder('', 'tray_lift'), 'tray_lift')
    good, bad = observations(engine.info, 2)
    with pytest.raises(InputError, match='is missing'):
        batch = [good, Observation({}, bad.proprio, bad.stamps)]
        engine.estimate_batch(batch)  # type: ignore[attr-defined]
