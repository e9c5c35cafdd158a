# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""On-robot value monitoring with ViVa: whether the task progresses towards success."""

import sys
from pkgutil import extend_path

# A source checkout finds the installed messages (viva_ros.msg) and the other way round.
__path__ = extend_path(__path__, __name__)

#: Packages of former versions, and those that have their modules now.
MOVED = {
    'viva_ros.offline': 'training, scoring, calibration, evaluation, export and advantage',
    'viva_ros.runtime': 'engine',
}


class _MovedFinder:
    """Names the new packages where the import system finds no module."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Raise ModuleNotFoundError for a module of a moved package; find nothing."""
        for moved, new in MOVED.items():
            if name == moved or name.startswith(f'{moved}.'):
                raise ModuleNotFoundError(
                    f'{moved} is divided into {new} of viva_ros: see Layout in CONTRIBUTING.md'
                    if ',' in new
                    else f'{moved} is named viva_ros.{new} now',
                    name=name,
                )


sys.meta_path.append(_MovedFinder)
