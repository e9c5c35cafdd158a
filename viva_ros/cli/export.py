# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of `viva export`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from rich.console import Console

from viva_ros.console.arguments import add_options, read_options
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import required, setting, validate
from viva_ros.data.open import find
from viva_ros.engine.backend import BACKENDS
from viva_ros.export.bundle import ExportPlan, export, measure
from viva_ros.export.tensorrt import RTX

DESCRIPTION: Final = (
    'Make an engine from a checkpoint and compare its values with PyTorch. The folder OUT holds '
    'the engine file, its description and a copy of the checkpoint; an engine whose values differ '
    'is not written.'
)


@dataclass(frozen=True)
class ExportArguments:
    """
    What the command reads and writes; the engine itself is an ``ExportPlan``.

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
    given = ExportArguments(**read_options(args, ExportArguments))
    plan = ExportPlan(**read_options(args, ExportPlan))
    torch.set_num_threads(1)
    paths = find(given.recordings)[: given.limit] if given.recordings else []
    if given.measure:
        made = measure(given.checkpoint, paths)
        out = given.checkpoint
    else:
        if given.out is None:
            raise ConfigurationError('--out is missing: name a folder for the engine')
        if plan.capabilities and plan.kind != RTX:
            raise ConfigurationError(
                f'--capability is for {RTX}, which can build ahead, not for {plan.kind}: leave it '
                'out'
            )
        out = given.out
        made = export(given.checkpoint, out, paths, plan)
    size = sum(path.stat().st_size for path in out.iterdir())
    Console().print(
        f'engine {made.fingerprint} in {out}, {size / 1e6:.1f} MB, for {" or ".join(made.runs)}; '
        + (
            f'differs from PyTorch by at most {made.parity:.2g} in value on {made.moments} moments'
            if made.differences else 'not compared with PyTorch: it is refused until it is'
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


if __name__ == '__main__':
    raise SystemExit(main())
