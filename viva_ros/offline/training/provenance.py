# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint says of its training."""

import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from viva_ros.console.provenance import revision
from viva_ros.offline.command import command_line
from viva_ros.training.cache import Data
from viva_ros.training.config import Run


def provenance(run: Run, learn: Data, final: Mapping[str, float]) -> dict[str, Any]:
    """
    Give command, seeds, data and figures, for JSON.

    :param final: held-out figures at the end
    """
    libraries = {name: version(name) for name in ('torch', 'diffusers', 'numpy')}
    return {
        'command': command_line('train'), 'git': revision(),
        'seed': run.seed, 'plan': asdict(run.plan), 'augment': asdict(run.augment),
        'lora': run.lora, 'head': run.head, 'hardware': asdict(run.hardware),
        'backbone': None if run.backbone is None else run.backbone.name,
        'episodes': len(learn.labels), 'moments': len(learn.images),
        'successes': sum(bool(label['success']) for label in learn.labels),
        'episode_seeds': sorted({label['seed'] for label in learn.labels if label['seed']}),
        'held_out': dict(final), 'python': platform.python_version(), 'libraries': libraries,
    }  # fmt: skip
