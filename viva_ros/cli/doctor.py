# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Check this machine and its ROS graph, and propose a fix for each problem.

It checks versions, shared memory and leftovers of dead processes, engine, calibration, nodes, and
QoS and rate of each input. Exit code 1: at least one error.
"""

import argparse
from collections.abc import Sequence

import rclpy
from rclpy.signals import SignalHandlerOptions

from viva_ros.bringup.launch_arguments import NAMESPACE
from viva_ros.doctor import checks
from viva_ros.doctor.checks import ERROR, Finding
from viva_ros.doctor.shared_memory import remove_leftovers
from viva_ros.engine.resources import DEFAULT_TASK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    if args.clean:
        return clean()
    found = [*checks.versions(), *checks.shared_memory()]
    of_engine, cameras = checks.engine(args.engine, args.task)
    found += of_engine
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        joints: str = args.joint_states_topic
        found += checks.check_graph(args.namespace, cameras, args.seconds, joints)
    finally:
        rclpy.try_shutdown()
    return report(found)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva doctor', description=__doc__)
    parser.add_argument('--engine', default='', help='Engine folder; default: the shipped engine')
    parser.add_argument(
        '--task', default=DEFAULT_TASK, help='Task of the robot (default: %(default)s)'
    )
    parser.add_argument(
        '--namespace', default='/', help='ROS namespace of the robot (default: %(default)s)'
    )
    parser.add_argument(
        '--joint-states-topic', default='joint_states', metavar='TOPIC',
        help='Topic to check if no monitor runs (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--seconds', type=float, default=3.0,
        help='Duration of the rate measurement, s (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--clean', action='store_true',
        help='Only delete shared-memory segments of dead processes',
    )  # fmt: skip
    args = parser.parse_args(argv)
    if not 0.0 < args.seconds <= 600.0:
        parser.error(f'--seconds is {args.seconds:g}, must be above 0 and at most 600')
    if not NAMESPACE.fullmatch(args.namespace):
        parser.error(f'--namespace is {args.namespace!r}, must be a ROS namespace such as /cell')
    args.namespace = '/' + args.namespace.strip('/')
    return args


def clean() -> int:
    """Delete the segments of dead processes."""
    gone = remove_leftovers()
    print(f'{len(gone)} segments of dead processes deleted, '
          f'{sum(one.size for one in gone) / checks.MIB:.0f} MiB')  # fmt: skip
    return 0


def report(found: Sequence[Finding]) -> int:
    """Print all findings, each with its remedy; return the exit code."""
    for one in found:
        print(f'{one.level.upper():5} {one.subject}: {one.text}')
        if one.remedy:
            print(f'      -> {one.remedy}')
    errors = sum(one.level == ERROR for one in found)
    warnings = sum(one.level == checks.WARN for one in found)
    print(f'{errors} errors, {warnings} warnings')
    return 1 if errors else 0
