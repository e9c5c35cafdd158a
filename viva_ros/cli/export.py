# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva export`: make an engine of a checkpoint, and measure that it gives the same values.

The engine's folder has the file that robots run, its description, and a copy of the checkpoint.
All is made in a folder beside it and moved there when it is known to be right.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from viva_ros.core.errors import ConfigurationError
from viva_ros.data.open import find
from viva_ros.engine.backend import BACKENDS
from viva_ros.engine.manifest import FLOAT32, ONNX
from viva_ros.export.bundle import ExportPlan, export, measure
from viva_ros.export.tensorrt import RTX


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = _parser().parse_args(argv)
    torch.set_num_threads(1)
    paths = find(args.recordings)[: args.limit] if args.recordings else []
    if args.measure:
        made = measure(args.checkpoint, paths)
        out = args.checkpoint
    else:
        if args.out is None:
            raise ConfigurationError('--out is missing: name a folder for the engine')
        if args.capability and args.engine != RTX:
            raise ConfigurationError(
                f'--capability is for {RTX}, which can build ahead, not for {args.engine}: leave '
                'it out'
            )
        plan = ExportPlan(args.engine, args.precision, args.build_only, tuple(args.capability))
        out = args.out
        made = export(args.checkpoint, out, paths, plan)
    size = sum(path.stat().st_size for path in out.iterdir())
    Console().print(
        f'engine {made.fingerprint} in {out}, {size / 1e6:.1f} MB, for {" or ".join(made.runs)}; '
        + (
            f'differs from PyTorch by at most {made.parity:.2g} in value on {made.moments} moments'
            if made.differences else 'not compared with PyTorch: it is refused until it is'
        )
    )  # fmt: skip
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser('viva export', description=__doc__)
    parser.add_argument('checkpoint', type=Path, help='folder, such as RUN/checkpoint')
    parser.add_argument('--out', type=Path, help='folder of the engine')
    parser.add_argument(
        '--recordings', type=Path, nargs='+', default=[], help='to compare on: files or folders'
    )
    parser.add_argument('--limit', type=int, default=10, help='recordings; default: %(default)s')
    parser.add_argument(
        '--engine', choices=list(BACKENDS), default=ONNX, help='library; default: %(default)s'
    )
    choices = sorted({precision for one in BACKENDS.values() for precision in one.precisions})
    parser.add_argument(
        '--precision', choices=choices, default=FLOAT32, help='default: %(default)s'
    )
    parser.add_argument(
        '--build-only', action='store_true',
        help='build for a GPU that is not here; compare there, with --measure',
    )  # fmt: skip
    parser.add_argument(
        '--capability', nargs='+', default=[], metavar='SM',
        help='GPUs that tensorrt_rtx builds for, such as 86 89; default: the one that is here',
    )  # fmt: skip
    parser.add_argument(
        '--measure', action='store_true',
        help='compare an engine that was built ahead, in the folder CHECKPOINT',
    )  # fmt: skip
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
