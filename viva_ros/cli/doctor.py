# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Check this machine and its ROS graph, and propose a fix for each problem.

It checks versions, shared memory and leftovers of dead processes, engine, calibration, nodes, and
QoS and rate of each input. With --robot it checks a robot file instead: against the running robot,
or against recordings. Exit code 1: at least one error.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import rclpy
from rclpy.signals import SignalHandlerOptions

from viva_ros.bringup.launch_arguments import NAMESPACE
from viva_ros.console.progress import bar
from viva_ros.core.foreign_text import ERROR_LENGTH, shown
from viva_ros.doctor import checks
from viva_ros.doctor.findings import ERROR, WARN, Finding
from viva_ros.doctor.graph_checks import check_robot, steps_of
from viva_ros.doctor.shared_memory import remove_leftovers
from viva_ros.engine.resources import DEFAULT_TASK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    if args.clean:
        return clean()
    if args.recordings:
        return report(check_recordings(args))
    found, info = [*checks.versions(), *checks.shared_memory()], None
    if args.engine or args.robot is None:
        of_engine, info = checks.engine(args.engine, args.task)
        found += of_engine
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        if args.robot is not None:
            listening = partial(bar, what='listening', total=steps_of(args.seconds))
            found += check_robot(args.robot, args.namespace, args.seconds, info, listening)
        else:
            cameras = info.cameras if info else ()
            joints: str = args.joint_states_topic
            found += checks.check_graph(args.namespace, cameras, args.seconds, joints)
    finally:
        rclpy.try_shutdown()
    return report(found)


def check_recordings(args: argparse.Namespace) -> list[Finding]:
    """Check a robot file against recordings of any format."""
    from viva_ros.data.open import find  # recordings need libraries that robots lack
    from viva_ros.doctor.recording_checks import check_recording

    found, info = checks.engine(args.engine, args.task) if args.engine else ([], None)
    paths = find(args.recordings)
    for path in bar(paths, 'checking', total=len(paths)):
        own = check_recording(path, args.robot, info)
        several = f'{path.name}: ' if len(paths) > 1 else ''
        found += [replace(one, subject=f'{several}{one.subject}') for one in own]
    return found


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva doctor', description=__doc__)
    parser.add_argument(
        'recordings', type=Path, nargs='*',
        help='With --robot: recordings, or folders of them, to check instead of a running robot',
    )  # fmt: skip
    parser.add_argument(
        '--robot', type=Path, metavar='FILE',
        help='Robot file: check its cameras, joints and limits, and those of --engine',
    )  # fmt: skip
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
        help='Duration of listening to topics, s (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--clean', action='store_true',
        help='Only delete shared-memory segments of dead processes',
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.recordings and args.robot is None:
        parser.error('recordings are checked against a robot file: add --robot FILE')
    if not 0.0 < args.seconds <= 600.0:
        parser.error(f'--seconds is {args.seconds:g}, must be above 0 and at most 600')
    if not NAMESPACE.fullmatch(args.namespace):
        parser.error(f'--namespace is {args.namespace!r}, must be a ROS namespace such as /cell')
    args.namespace = '/' + args.namespace.strip('/')
    return args


def clean() -> int:
    """Delete the segments of dead processes."""
    gone = remove_leftovers()
    size = sum(one.size for one in gone) / checks.MIB
    print(f'{len(gone):d} segments of dead processes deleted, {size:.0f} MiB')
    return 0


def report(found: Sequence[Finding]) -> int:
    """Print all findings, each with its remedy; return the exit code."""
    for one in found:
        text = shown(one.text, ERROR_LENGTH, lines=True)
        print(f'{shown(one.level.upper()):5} {shown(one.subject)}: {text}')
        if one.remedy:
            print(f'      -> {shown(one.remedy, ERROR_LENGTH, lines=True)}')
    errors = sum(one.level == ERROR for one in found)
    warnings = sum(one.level == WARN for one in found)
    print(f'{errors:d} errors, {warnings:d} warnings')
    return 1 if errors else 0
