# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva import`: convert bags or datasets of any robot to one LeRobot dataset (v3.0).

Recordings are resampled to the rate of the map. An episode that exceeds the limits of the map is
refused with the reason, never repaired. A stopped import continues when the same command runs
again.
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
    """Run the command; exit code 2 if an episode was refused."""
    args = parse(argv)
    topics = load_map(args.map)
    outcomes = Outcomes(
        args.success, read_table(args.labels) if args.labels else {}, topics.label_topic,
        args.task or topics.task,
    )  # fmt: skip
    report = import_all(sources.find(args.sources), topics, outcomes, args.out)
    console = Console(highlight=False)
    show(report['episodes'], console)
    refused = sum(bool(one['refused']) for one in report['episodes'])
    imported = len(report['episodes']) - refused
    console.print(f'{args.out}: {imported} episodes, {refused} refused', soft_wrap=True)
    return 2 if refused else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva import', description=__doc__)
    parser.add_argument('sources', type=Path, nargs='+', help='bags, datasets, or folders of them')
    parser.add_argument(
        '--map', type=Path, required=True, help='YAML file: rate, cameras and joints'
    )
    parser.add_argument('--out', type=Path, required=True, help='folder of the dataset')
    parser.add_argument('--task', default='', help='task of recordings that do not name one')
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument(
        '--success', action='store_true', default=None, help='all episodes succeeded'
    )
    outcome.add_argument(
        '--failure', action='store_false', dest='success', help='all episodes failed'
    )
    outcome.add_argument(
        '--labels', type=Path, help='CSV of outcomes: file,success[,failure,task]'
    )
    return parser.parse_args(argv)
