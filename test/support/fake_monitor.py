# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The real monitor with an engine without a network, for tests of faults.

The value is the mean brightness of the head camera, so that a test sets it with a grey image.
FAKE_ENGINE=hang, slow, fail or device injects a fault; FAKE_LOADING is the loading time, s;
loading lasts until the file FAKE_GATE exists. FAKE_INPUTS=CAMERA,...:JOINT,... names its inputs.
"""

import os
import time
from pathlib import Path

import numpy as np

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.api import Engine, EngineInfo
from viva_ros.engine.background_task import nothing
from viva_ros.nodes.main import run
from viva_ros.nodes.monitor import Monitor
from viva_ros.nodes.settings import MonitorSettings

INPUTS = os.environ.get('FAKE_INPUTS', 'head,left_wrist,right_wrist:left_waist,right_waist')
CAMERAS, JOINTS = (tuple(names.split(',')) for names in INPUTS.split(':'))
INFO = EngineInfo(CAMERAS, JOINTS, 1.0, (64, 64), ('tray_lift',), 'f' * 16, 'fake')


class BrightnessEngine:
    """Value from -1 (black) to 1 (white)."""

    info = INFO

    def estimate(self, observation: Observation) -> Estimate:
        if os.environ.get('FAKE_ENGINE') == 'hang':
            time.sleep(3600.0)
        if os.environ.get('FAKE_ENGINE') == 'slow':
            time.sleep(0.5)
        if os.environ.get('FAKE_ENGINE') == 'device':
            raise RuntimeError('CUDA error: an illegal memory access was encountered')
        if os.environ.get('FAKE_ENGINE') == 'fail':
            raise EngineError('fake-failure', 'the engine is out of order: get another')
        value = float(np.mean(observation.images['head'])) / 127.5 - 1.0
        return Estimate(value, {name: observation.proprio[name] + 0.1 for name in JOINTS})

    def close(self) -> None:
        """Do nothing."""


class FakeMonitor(Monitor):
    """A monitor without a model."""

    def load_engine(self, settings: MonitorSettings, started=nothing) -> Engine:
        print('the fake engine is loaded', flush=True)
        time.sleep(float(os.environ.get('FAKE_LOADING', '0')))  # as in a native library
        while 'FAKE_GATE' in os.environ and not Path(os.environ['FAKE_GATE']).exists():
            time.sleep(0.02)
        if settings.task not in ('tray_lift', 'fold'):
            raise EngineError('fake-task', f'no engine for {settings.task}: train one')
        return BrightnessEngine()


if __name__ == '__main__':
    run(FakeMonitor)
