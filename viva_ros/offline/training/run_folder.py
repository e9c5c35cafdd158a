# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``run.json``: what a run is, so that it goes on as begun or not at all, and its starts."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from viva_ros.console.provenance import environment, revision
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.files import write_atomically
from viva_ros.model.config import ViVaConfig
from viva_ros.offline.command import command_line
from viva_ros.offline.dataset import Data
from viva_ros.training.config import Run
from viva_ros.training.distributed import Workers

DESCRIPTION: Final = 'run.json'
STARTS: Final = 'starts'


def describe(run: Run, config: ViVaConfig, learn: Data, hold: Data | None) -> dict[str, Any]:
    """Give all that weights depend on, but for the hardware."""
    names = [label['name'] for label in learn.labels]
    content = {
        'config': config.to_dict(), 'plan': asdict(run.plan), 'augment': asdict(run.augment),
        'seed': run.seed, 'lora': run.lora, 'head': run.head,
        'backbone': None if run.backbone is None else str(run.backbone.resolve()),
        'shard': run.hardware.shard, 'train': len(learn.labels), 'moments': len(learn.images),
        'episodes': hashlib.sha256('\n'.join(names).encode()).hexdigest()[:16],
        'validation': [] if hold is None else [label['name'] for label in hold.labels],
    }  # fmt: skip
    return dict(json.loads(json.dumps(content)))


def begin(run: Run, content: Mapping[str, Any], workers: Workers) -> None:
    """
    Write what a run is, or check that it goes on as it was begun, and note the start.

    :param content: from ``describe``
    :raises ConfigurationError: naming the first thing that differs
    """
    path, starts = run.out / DESCRIPTION, []
    if path.is_file():
        before = json.loads(path.read_text(encoding='utf-8'))
        starts = before.pop(STARTS, [])
        for name, old, new in _differences('', before, content):
            raise ConfigurationError(
                f'{path} was begun with {name} {old!r}, now asked for is {new!r}: choose '
                'another --out, or delete it'
            )
    start = {
        'command': command_line('train'), 'git': revision(), 'environment': environment(),
        'processes': workers.count, 'hardware': asdict(run.hardware),
    }  # fmt: skip
    write_atomically(path, json.dumps({**content, STARTS: [*starts, start]}, indent=1) + '\n')


def started(folder: Path) -> list[dict[str, Any]]:
    """Give the starts of a run, the first one first."""
    return list(json.loads((folder / DESCRIPTION).read_text(encoding='utf-8'))[STARTS])


def _differences(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Go through the leaves of two trees that are not the same."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _differences(f'{name}.{key}'.lstrip('.'), old.get(key), new.get(key))
    elif old != new:
        yield name, old, new
