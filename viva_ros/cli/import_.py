# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva import`: bags and data sets of any robot into one LeRobot dataset (v3.0).

Recordings are brought to the rate of the map; an episode beyond its limits is refused with the
reason, never repaired. An import that was stopped goes on when run again with the same arguments.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from viva_ros.data import open as sources
from viva_ros.data.conversion.annotations import Outcomes, read_table
from viva_ros.data.conversion.convert import import_all, show
from viva_ros.data.conversion.topic_map import load_map


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 2 if an episode was refused."""
    args = parse(argv)
    how = load_map(args.map)
    outcomes = Outcomes(
        args.success, read_table(args.labels) if args.labels else {}, how.label_topic,
        args.task or how.task,
    )  # fmt: skip
    report = import_all(sources.find(args.sources), how, outcomes, args.out)
    console = Console(highlight=False)
    show(report['episodes'], console)
    refused = sum(bool(one['refused']) for one in report['episodes'])
    taken = len(report['episodes']) - refused
    console.print(f'{args.out}: {taken} episodes, {refused} refused', soft_wrap=True)
    return 2 if refused else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva import', description=__doc__)
    parser.add_argument('sources', type=Path, nargs='+', help='bags, data sets, or folders')
    parser.add_argument('--map', type=Path, required=True, help='YAML: rate, cameras, joints')
    parser.add_argument('--out', type=Path, required=True, help='folder of the dataset')
    parser.add_argument('--task', default='', help='where a recording does not name it')
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument(
        '--success', action='store_true', default=None, help='every episode succeeded'
    )
    outcome.add_argument('--failure', action='store_false', dest='success', help='each failed')
    outcome.add_argument('--labels', type=Path, help='CSV: file,success[,failure,task]')
    return parser.parse_args(argv)
