# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Export a checkpoint to an engine."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch

from viva_ros.console.arguments import add_options, read_options
from viva_ros.console.terminal import Terminal
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import required, setting, validate
from viva_ros.data.open import find
from viva_ros.engine.backend import BACKENDS
from viva_ros.export.bundle import ExportPlan, export, measure
from viva_ros.export.tensorrt import RTX

DESCRIPTION: Final = (
    'Export a checkpoint to an engine and compare its values with PyTorch. The folder OUT gets '
    'the engine file, its description and a copy of the checkpoint; an engine whose values differ '
    'from PyTorch is not written.'
)


@dataclass(frozen=True)
class ExportArguments:
    """
    Options of the command besides those of ``ExportPlan``.

    :raises ConfigurationError: if a value is out of range
    """

    checkpoint: Path = field(
        metadata=required('Folder of the checkpoint, such as RUN/checkpoint.')
    )
    out: Path | None = setting(None, 'Folder of the engine; required without --measure.')
    recordings: tuple[Path, ...] = setting(
        (), 'Recordings to compare the engine with PyTorch on: files or folders.'
    )
    limit: int = setting(10, 'Largest number of recordings to compare on.', at_least=1)
    measure: bool = setting(
        False,
        'Compare an engine that was built with --build-only, on this machine; CHECKPOINT is its '
        'folder.',
    )

    def __post_init__(self) -> None:
        validate(self)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    options = ExportArguments(**read_options(args, ExportArguments))
    plan = ExportPlan(**read_options(args, ExportPlan))
    torch.set_num_threads(1)
    paths = find(options.recordings)[: options.limit] if options.recordings else []
    if options.measure:
        made = measure(options.checkpoint, paths)
        out = options.checkpoint
    else:
        if options.out is None:
            raise ConfigurationError(
                'export-output-missing', '--out is missing: name a folder for the engine'
            )
        if plan.capabilities and plan.kind != RTX:
            raise ConfigurationError(
                'export-capability',
                f'--capability is for engine kind {RTX}, not for {plan.kind}: leave --capability '
                'out',
            )
        out = options.out
        made = export(options.checkpoint, out, paths, plan)
    size = sum(path.stat().st_size for path in out.iterdir())
    Terminal().print(
        f'engine {made.fingerprint} in {out}, {size / 1e6:.1f} MB, for {" or ".join(made.runs)}; '
        + (
            f'largest difference of the value from PyTorch: {made.parity:.2g}, on {made.moments} '
            'inputs'
            if made.differences
            else 'not compared with PyTorch: refused until viva export --measure has run'
        )
    )  # fmt: skip
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva export', description=DESCRIPTION)
    precisions = {precision for one in BACKENDS.values() for precision in one.precisions}
    add_options(parser, ExportArguments, flags={'checkpoint': 'checkpoint'})
    add_options(
        parser, ExportPlan, flags={'kind': '--engine', 'capabilities': '--capability'},
        keywords={
            'kind': {'choices': BACKENDS.names()}, 'precision': {'choices': sorted(precisions)},
            'capabilities': {'metavar': 'SM'},
        },
    )  # fmt: skip
    return parser.parse_args(argv)
