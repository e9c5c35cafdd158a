# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot and the task of ``test/sim/toys`` as an installed package."""

import os
from pathlib import Path

TOYS = Path(__file__).resolve().parents[1] / 'sim' / 'toys'


def install(site: Path) -> str:
    """
    Write the metadata of a package with two entry points.

    :returns: PYTHONPATH of a process in which the package is installed
    """
    info = site / 'toys-1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text(
        '[viva_ros.sim_robots]\ngantry = gantry:ROBOT\n'
        '[viva_ros.sim_tasks]\ntouch_mat = touch_mat:TASK\n'
    )
    return os.pathsep.join((str(site), str(TOYS), os.environ.get('PYTHONPATH', '')))
