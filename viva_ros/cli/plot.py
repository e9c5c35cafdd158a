# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Plot a recording on one time axis.

The rows are: the value with its alarm level and alerts, the ground truth of a simulation, and
images of the head camera.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from viva_ros.console.progress import note
from viva_ros.visualization.plot import plot


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('viva plot', description=__doc__)
    parser.add_argument(
        'recording', type=Path, help='MCAP file, bag, or episode DATASET/episode_000012'
    )
    parser.add_argument('--out', type=Path, help='PNG file; default: next to the recording')
    parser.add_argument(
        '--engine', help='Engine folder, to score a recording without recorded values'
    )
    args = parser.parse_args(argv)
    out = args.out or args.recording.with_suffix('.png')
    for loss in plot(args.recording, out, args.engine):
        note(f'viva plot: {args.recording} is damaged: {loss}')
    return 0
