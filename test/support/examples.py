# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Load an example, which belongs to no package."""

import importlib.util
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / 'examples'


def load_example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(name).stem, FOLDER / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
