# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Fixtures of several folders: small engines, recordings, datasets and models.

This is a plugin of the whole suite: each fixture imports its libraries when it is used, so that
other tests run without them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.recordings import WorthEngine
    from viva_ros.engine.api import Engine
    from viva_ros.model.viva import ViVa
    from viva_ros.robot.topic_map import TopicMap
    from viva_ros.training.cache import Data


@pytest.fixture
def one_thread() -> None:
    """Limit torch to one thread, so that sums have a fixed order."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def small_plots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save an empty figure in place of each plot, except in tests marked ``drawn``: 1 s less."""
    from matplotlib.figure import Figure

    if request.node.get_closest_marker('drawn'):
        return
    save = Figure.savefig

    def save_empty(figure: Figure, *places: object, **options: object) -> None:
        save(Figure(figsize=(0.1, 0.1)), *places, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, 'savefig', save_empty)


@pytest.fixture(scope='session')
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny snapshot in the layout of the published Wan2.2-TI2V, read-only."""
    from support import random_snapshot
    from viva_ros.model.config import WAN_TINY

    folder = tmp_path_factory.mktemp('wan') / 'snapshot'
    random_snapshot.write(folder, WAN_TINY, shard='20KB')
    return folder


@pytest.fixture(scope='session')
def shipped_engine() -> 'Engine':
    """Return the shipped engine, loaded in this process; not to be closed."""
    from viva_ros.engine.factory import load
    from viva_ros.engine.resources import DEFAULT_TASK, engine_folder

    return load(engine_folder('', DEFAULT_TASK), DEFAULT_TASK)


@pytest.fixture
def worth_engine() -> 'WorthEngine':
    from support.recordings import WorthEngine

    return WorthEngine()


@pytest.fixture
def worth_engine_folder(
    tmp_path: Path, worth_engine: 'WorthEngine', monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return an empty engine folder; all commands load ``worth_engine`` from it."""
    from viva_ros.cli import calibrate, evaluate
    from viva_ros.evaluation import run
    from viva_ros.scoring import jobs
    from viva_ros.visualization import plot

    folder = tmp_path / 'engine'
    folder.mkdir()
    for module in (calibrate, run, plot, jobs):
        monkeypatch.setattr(module, 'load', lambda path, task, kind='auto': worth_engine)
    for module in (calibrate, evaluate):  # it was trained on no recording
        monkeypatch.setattr(module, 'trained_episodes', lambda folder: frozenset())
    return folder


@pytest.fixture(scope='session')
def evaluation_folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """
    Return folders of calibration and test recordings, read-only.

    29 successes for calibration; for the test, successes a and b, failures c (fall) and d (stall).
    """
    from support.recordings import RISING, make_label, write_recording

    calibration, test = (tmp_path_factory.mktemp(name) for name in ('calibration', 'test'))
    for number in range(29):
        slower = [-0.5 + (0.018 + 1e-4 * number) * step for step in range(61)]
        write_recording(calibration / f'{number:02}.mcap', slower, label=make_label())
    write_recording(test / 'a.mcap', RISING, label=make_label())
    write_recording(test / 'b.mcap', [value + 0.001 for value in RISING], label=make_label())
    slip = make_label(False, 'slip', inject=2.9, manifest=3.0)
    write_recording(test / 'c.mcap', [*RISING[:30], -0.4, *[-0.9] * 29], label=slip)
    stall = make_label(False, 'stall', inject=0.0, manifest=2.5)
    write_recording(test / 'd.mcap', [-0.5] * 60, label=stall)
    return calibration, test


@pytest.fixture
def small_engine(tmp_path: Path) -> Path:
    """Return the folder of a real engine that other processes can load."""
    from support.onnx_engines import write_worth_engine

    return write_worth_engine(tmp_path / 'small')


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    """Return the topic map file of the foreign robot."""
    from support.foreign_robot import MAP

    path = tmp_path / 'map.yaml'
    path.write_text(MAP)
    return path


@pytest.fixture
def foreign_map(map_file: Path) -> 'TopicMap':
    from viva_ros.robot.topic_map import load_map

    return load_map(map_file)


@pytest.fixture
def make_slide_data(tmp_path: Path) -> Callable[..., 'Data']:
    """Return a function that returns the training data of slide episodes."""
    from support.slides import write_shards

    def make(seeds: range) -> 'Data':
        return write_shards([tmp_path / 'shards' / f'{seed}' for seed in seeds], seeds)

    return make


@pytest.fixture
def tiny_viva() -> 'ViVa':
    from support.slides import make_tiny_viva

    return make_tiny_viva()
