# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A process that loads one engine, estimates once, and tells its time and memory."""

import json
import sys
import time
from pathlib import Path

import numpy as np

from viva_ros.core.observation import Observation
from viva_ros.runtime.engine import load
from viva_ros.runtime.memory import peak_mib


def main(folder: str, task: str, kind: str) -> None:
    """Print the figures as JSON."""
    began = time.monotonic()
    engine = load(Path(folder), task, kind)
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    pictures = dict.fromkeys(engine.info.cameras, picture)
    joints = dict.fromkeys(engine.info.joint_names, 0.1)
    engine.estimate(Observation(pictures, joints, {'images': 1}))
    seconds = time.monotonic() - began
    figures = {
        'kind': engine.info.kind, 'first_estimate_s': seconds, 'torch': 'torch' in sys.modules,
        'memory_mib': peak_mib(),
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == '__main__':
    main(*sys.argv[1:4])
