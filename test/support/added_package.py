# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An installed package with an entry point."""

from pathlib import Path


def write_package(site: Path, module: str, group: str, entry: str, code: str = '') -> None:
    """
    Write a module and the metadata of its distribution, as pip installs them.

    :param site: folder for ``sys.path``
    :param group: of entry points, such as 'viva_ros.sim_robots'
    :param entry: such as 'toy = toy_module:THING'
    :param code: of the module
    """
    info = site / f'{module}-1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text(f'[{group}]\n{entry}\n')
    (site / f'{module}.py').write_text(code)
