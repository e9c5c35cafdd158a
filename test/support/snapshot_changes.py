# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Change the files of a snapshot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

INDEX = 'diffusion_pytorch_model.safetensors.index.json'


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def place_of(folder: Path, name: str) -> Path:
    """Return the shard that holds a weight."""
    return folder / json.loads((folder / INDEX).read_text())['weight_map'][name]


def change_weights(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    state = load_file(path)
    change(state)
    save_file(state, path)


def change_map(folder: Path, change: Callable[[dict[str, str]], None]) -> None:
    content = json.loads((folder / INDEX).read_text())
    change(content['weight_map'])
    (folder / INDEX).write_text(json.dumps(content))
