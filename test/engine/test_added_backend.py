# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine backend that another package adds by an entry point."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.added_package import write_package

BACKEND = """
from viva_ros.core.observation import Estimate
from viva_ros.engine import manifest
from viva_ros.engine.backend import Backend


class ConstantEngine:
    def __init__(self, folder, task):
        self.info = manifest.info_of(manifest.read_manifest(folder), 'constant', 'constant 1.0')

    def estimate(self, observation):
        return Estimate(0.25, dict(observation.proprio))

    def close(self):
        pass


BACKEND = Backend('constant_backend', ConstantEngine, ('float32',), 'constant_backend:build')
"""
USE = """
import sys
from pathlib import Path
from viva_ros.core.observation import Observation
from viva_ros.engine.backend import kinds
from viva_ros.engine.factory import load

engine = load(Path(sys.argv[1]), 'lift')
print(kinds()[-1], engine.info.kind, engine.estimate(Observation({}, {'a': 1.0}, {})).value)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Write a package with an entry point, as pip installs it."""
    site = tmp_path / 'site'
    entry = 'constant = constant_backend:BACKEND'
    write_package(site, 'constant_backend', 'viva_ros.engine_backends', entry, BACKEND)
    return site


def run(code: str, *arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    others = [one for one in sys.path if one]
    env = os.environ | {'PYTHONPATH': os.pathsep.join([str(path), *others])}
    return subprocess.run(
        [sys.executable, '-c', code, *arguments], env=env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_backend_of_other_package_runs_its_engines(
    make_engine: Callable[..., Path], package: Path
) -> None:
    folder = make_engine(kind='constant', runs=('constant',))
    done = run(USE, str(folder), path=package)
    assert done.stdout.split() == ['constant', 'constant', '0.25'], done.stderr


def test_engine_of_missing_backend_is_refused(
    make_engine: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_engine(kind='constant', runs=('constant',))
    done = run(USE, str(folder), path=tmp_path)
    assert done.returncode == 1
    assert 'EngineError' in done.stderr and 'must be of onnx, openvino' in done.stderr
