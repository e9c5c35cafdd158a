# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A process that estimates at a rate, as a monitor does, and says what that took."""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from viva_ros.core.observation import Observation
from viva_ros.engine.api import Engine, EngineInfo, load
from viva_ros.engine.manifest import named
from viva_ros.engine.remote.client import SharedEngine
from viva_ros.engine.remote.protocol import address_of

ROBOT_PATIENCE = 5.0  # s
WARM = 3  # estimates that do not count


def main() -> None:
    """Wait for a line, the time to begin at; then estimate, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--engine', type=Path, required=True)
    parser.add_argument('--kind', required=True)
    parser.add_argument('--task', required=True)
    parser.add_argument('--address', default='')
    parser.add_argument('--rate', type=float, required=True)
    parser.add_argument('--seconds', type=float, required=True)
    parser.add_argument('--phase', type=float, required=True, help='of a period')
    args = parser.parse_args()

    def own() -> Engine:
        return load(args.engine, args.task, args.kind)

    engine: Engine
    if not args.address:
        engine = own()
    else:
        address, expected = address_of(args.address), named(args.engine)
        engine = SharedEngine(address, args.task, own, expected, ROBOT_PATIENCE)
    observation = look(engine.info)
    for _ in range(WARM):
        engine.estimate(observation)
    print('ready', flush=True)
    begin = float(sys.stdin.readline()) + args.phase / args.rate
    times, used = run_robot(engine, observation, begin, args.rate, args.seconds)
    served = not isinstance(engine, SharedEngine) or engine.is_served
    print(json.dumps({'seconds': times, 'cpu': used, 'served': served}))


def look(info: EngineInfo) -> Observation:
    """Give an observation: noise as pictures."""
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    joints = dict.fromkeys(info.joint_names, 0.1)
    return Observation(dict.fromkeys(info.cameras, picture), joints, {'images': 1})


def run_robot(
    engine: Engine, observation: Observation, begin: float, rate: float, seconds: float
) -> tuple[list[float], float]:
    """Give the time of each estimate from when it was due, s, and all processor time used, s."""
    times, used = [], time.process_time()
    for count in range(max(1, round(seconds * rate))):
        due = begin + count / rate
        time.sleep(max(0.0, due - time.monotonic()))
        engine.estimate(observation)
        times.append(time.monotonic() - due)
    return times, time.process_time() - used


if __name__ == '__main__':
    main()
