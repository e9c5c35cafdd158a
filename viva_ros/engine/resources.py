# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the files of the package: in the source tree, or as installed."""

import os
import sys
from pathlib import Path
from typing import Final

from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import (
    Calibration,
    TaskCalibrations,
    calibration_file,
)
from viva_ros.core.errors import ConfigurationError, EngineError, VivaError
from viva_ros.engine.manifest import named, read_calibration, read_manifest

DEFAULT_TASK: Final = 'tray_lift'  # of the shipped engine, where no task is named


def shared_folder(name: str) -> Path:
    """
    Return the folder 'config', 'engines' or 'launch'.

    :raises ConfigurationError: with the paths that were searched
    """
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    candidates = [Path(__file__).resolve().parents[2] / name]
    candidates += [
        Path(p) / 'share/viva_ros' / name for p in (*filter(None, prefixes), sys.prefix)
    ]
    for folder in candidates:
        if folder.is_dir():
            return folder
    searched = ', '.join(map(str, candidates))
    raise ConfigurationError(
        'package-folder-missing',
        f'folder {name!r} is missing, searched {searched}: install the package again',
    )


def engine_folder(engine: str, task: str) -> Path:
    """
    Return the folder of an engine.

    :param engine: its path; empty for the engine that is shipped for the task
    :raises EngineError: if no engine is shipped for the task, with the tasks that have one
    """
    if engine:
        return Path(engine).expanduser()
    shipped = shared_folder('engines')
    known: set[str] = set()
    paths = sorted(shipped.glob('*/engine.json'))
    for path in sorted(
        paths, key=lambda path: path.parent.name != task
    ):  # the engine named like the task first
        tasks = set(read_manifest(path.parent).tasks)
        if task in tasks:
            return path.parent
        known |= tasks
    raise EngineError(
        'shipped-engine-missing',
        f'no engine in {shipped} is for task {task!r}; there are engines for '
        f'{sorted(known) or "no task"}: set the parameter engine to an engine folder',
    )


def tasks_known(engine: str) -> set[str]:
    """
    Return the tasks of an engine; empty if the folder has no description.

    :param engine: its path; empty for all shipped engines
    :raises EngineError: if a description cannot be read
    """
    folders = [Path(engine).expanduser()] if engine else shared_folder('engines').iterdir()
    paths = [folder / 'engine.json' for folder in folders]
    return {task for path in paths if path.is_file() for task in read_manifest(path.parent).tasks}


def calibrations(engine: str, file: str, task: str, rules: RuleSettings) -> TaskCalibrations:
    """
    Load the calibration of each task of an engine, or the error of loading it.

    :param engine: its folder; empty for the shipped engines
    :param file: calibration file; empty for the engine's file of each task
    :param task: task that must have a calibration
    :raises VivaError: if that calibration is missing, or is for another engine or other rules
    """
    found: dict[str, Calibration | VivaError] = {task: _calibration(engine, file, task, rules)}
    for other in sorted(tasks_known(engine) - {task}):
        try:
            found[other] = _calibration(engine, file, other, rules)
        except VivaError as error:
            found[other] = error
    return TaskCalibrations(found)


def _calibration(engine: str, file: str, task: str, rules: RuleSettings) -> Calibration:
    path, fingerprint = Path(file).expanduser(), ''
    if engine or not file:
        folder = engine_folder(engine, task)
        fingerprint = named(folder)
        path = path if file else calibration_file(folder, task)
    calibration = read_calibration(path)
    # The rate is checked with each value, which has that of its monitor.
    calibration.check(fingerprint or calibration.engine, task, rules, calibration.rate)
    return calibration
