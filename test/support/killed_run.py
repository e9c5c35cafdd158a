# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training run on synthetic data that a test kills: `python killed_run.py OUT`."""

import sys
from pathlib import Path

import torch
from shared_step import JOINTS, make_data

from viva_ros.model.config import preset
from viva_ros.training.config import TrainConfig, TrainPlan
from viva_ros.training.run import train_on
from viva_ros.training.trainer import Schedule

STAGE = Schedule(24, 4, 1e-2, 3, average=0.5, save_every=4, measure_every=8)
PLAN = TrainPlan(vae=STAGE, video=STAGE, viva=STAGE, proprio=STAGE)


def run_in(out: Path) -> None:
    torch.set_num_threads(1)
    data, blank = make_data(), preset('tiny', ('head', 'wrist'), JOINTS, ())
    train_on(TrainConfig((out,), out, 'tiny', 7, PLAN, out), data, data, blank)


if __name__ == '__main__':
    run_in(Path(sys.argv[1]))
