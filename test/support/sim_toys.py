# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robot and task of ``test/sim/toys`` as installed packages."""

import os
from pathlib import Path

from support.added_package import write_package
from viva_ros.sim.robots.registry import ROBOTS
from viva_ros.sim.tasks.registry import TASKS

TOYS = Path(__file__).resolve().parents[1] / 'sim' / 'toys'


def install(site: Path) -> str:
    """
    Write a package for each of them, with its entry point.

    :returns: PYTHONPATH of a process in which the packages are installed
    """
    for module, group, thing in (
        ('gantry', ROBOTS.group, 'ROBOT'), ('touch_mat', TASKS.group, 'TASK'),
    ):  # fmt: skip
        code = (TOYS / f'{module}.py').read_text()
        write_package(site, module, group, f'{module} = {module}:{thing}', code)
    return os.pathsep.join((str(site), os.environ.get('PYTHONPATH', '')))
