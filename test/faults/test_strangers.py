# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Row 27 of the table of faults, as far as the wheels allow: Fast DDS is built without security.

The policy file has exactly the topics and services that the nodes have on the live graph.
"""

from pathlib import Path
from xml.etree import ElementTree

import pytest

CONFIG = Path(__file__).parents[2] / 'config'
KINDS = {
    'topics publish': 'get_publisher_names_and_types_by_node',
    'topics subscribe': 'get_subscriber_names_and_types_by_node',
    'services reply': 'get_service_names_and_types_by_node',
    'services request': 'get_client_names_and_types_by_node',
}


def allowed() -> dict[str, dict[str, set[str]]]:
    """Read the policy: node to kind to resolved names."""
    found: dict[str, dict[str, set[str]]] = {}
    for profile in ElementTree.parse(CONFIG / 'sros2_policy.xml').iter('profile'):
        node = profile.get('node')
        kinds = found[node] = {kind: set() for kind in KINDS}
        for group in profile:
            (verb,) = group.keys()
            assert group.get(verb) == 'ALLOW'
            names = {entry.text.replace('~', f'/{node}', 1) for entry in group}
            kinds[f'{group.tag} {verb}'] |= {f'/{name.lstrip("/")}' for name in names}
    return found


@pytest.fixture
def graph(processes, listener, calibration):
    """Start all nodes; give what one of them has."""
    processes.start('fake_monitor.py', '--ros-args', '-p', 'input_timeout:=0.0')
    processes.start(
        'viva_ros.nodes', 'supervisor', '--ros-args', '-p', f'calibration:={calibration}'
    )

    def look(node: str, kind: str) -> set[str]:
        return {name for name, _ in getattr(listener, KINDS[kind])(node, '/')}

    return look


def test_the_policy_has_exactly_the_topics_and_services_of_the_live_graph(graph, until):
    policy = allowed()
    for node, kinds in policy.items():
        for kind, names in kinds.items():
            until(lambda n=node, k=kind, e=names: graph(n, k) == e or graph(n, k) > e, 'it')
            assert graph(node, kind) == names, f'{node}: {kind}'


def test_every_node_of_a_robot_has_an_enclave():
    from viva_ros.nodes.description import LAUNCHES

    assert set(allowed()) == {program.name for program in LAUNCHES['monitor'][0]}
