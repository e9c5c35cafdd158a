# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of topics, services, actions and their QoS."""

from typing import Final

from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

from scripts.reference_pages.markdown import GENERATED, cell, code, table
from viva_ros.nodes.qos import SERVICES, TOPICS

INTRODUCTION: Final = f"""\
# Topics, services and QoS

{GENERATED}

All names are relative to the namespace of the node and can be remapped; only `/diagnostics` is
absolute. `{{camera}}` stands for the name of each camera of the engine, any other `{{...}}` for
the value of that parameter. The stamp of an output is that of the observation. `sim` is the
simulated robot: on a real robot its drivers take its place.

The black box subscribes to all topics that the monitor and the supervisor publish or subscribe to,
except `value_plot`, `value_markers` and `value_cloud`.

## Topics
"""
AFTER: Final = """\
* *best effort*: a lost message is not sent again. A *reliable* publisher serves such a subscriber.
* *reliable*: a subscriber needs a reliable publisher.
* *transient local*: a late subscriber receives the last message, if it subscribes with transient
  local, too.
* The number is the depth of the queue.

`monitor`, `supervisor` and `black_box` are lifecycle nodes: each also has `~/change_state`,
`~/get_state` and `~/transition_event`, and every node has the services of its parameters.
"""


def make() -> str:
    """Return the page."""
    topics = [
        [code(one.name), code(one.type), cell(one.rate), cell(one.doc)] for one in TOPICS
    ]  # fmt: skip
    services = [
        [code(one.name), code(one.type), _names(one.servers) or 'the robot',
         _names(one.clients) or 'the robot or an operator', cell(one.doc)]
        for one in SERVICES
    ]  # fmt: skip
    ends = [[code(one.name), _end(one.published), _end(one.subscribed)] for one in TOPICS]
    return '\n'.join([
        INTRODUCTION, table(['topic', 'type', 'rate', 'content'], topics),
        '## Services and actions\n',
        table(['name', 'type', 'offered by', 'called by', 'content'], services),
        '## QoS\n', table(['topic', 'published by', 'subscribed by'], ends), AFTER,
    ])  # fmt: skip


def _names(nodes: tuple[str, ...]) -> str:
    return ', '.join(code(node) for node in nodes)


def _end(end: tuple[tuple[str, ...], QoSProfile] | None) -> str:
    return '' if end is None else f'{_names(end[0])}: {describe(end[1])}'


def describe(profile: QoSProfile) -> str:
    """Return what decides whether two profiles are compatible, and the depth."""
    parts = ['reliable' if profile.reliability == ReliabilityPolicy.RELIABLE else 'best effort']
    if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL:
        parts.append('transient local')
    if profile.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC:
        lease = profile.liveliness_lease_duration.nanoseconds * 1e-9
        parts.append(f'manual liveliness, lease {lease:g} s')
    return f'{", ".join(parts)}, {profile.depth}'
