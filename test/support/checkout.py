# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Modules of the checkout as programs: benchmarks and tests, which are not installed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viva_ros.core.child_process import python_child

ROOT = Path(__file__).parents[2]


def checkout_child(
    module: str, *arguments: object, env: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """Return the arguments of ``subprocess.Popen``, as ``python_child``."""
    folders = (str(ROOT), str(ROOT / 'test'), env.get('PYTHONPATH', ''))
    path = os.pathsep.join(filter(None, folders))
    return python_child(module, *arguments, env={**env, 'PYTHONPATH': path})
