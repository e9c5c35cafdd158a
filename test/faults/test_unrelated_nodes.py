# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Row 27 of the fault table, without encryption: Fast DDS in the wheels is built without security.

The policy file must list exactly the topics and services of the nodes in the live graph.
"""

import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.ros import PATIENCE

CONFIG = Path(__file__).parents[2] / 'config'
NODES = ('monitor', 'supervisor', 'black_box')
BOND = '/bond'  # published only where the messages of the package bond are installed
KINDS = {
    'topics publish': 'get_publisher_names_and_types_by_node',
    'topics subscribe': 'get_subscriber_names_and_types_by_node',
    'services reply': 'get_service_names_and_types_by_node',
    'services request': 'get_client_names_and_types_by_node',
}


def allowed() -> dict[str, dict[str, set[str]]]:
    """Return the policy: node to kind to resolved names."""
    found: dict[str, dict[str, set[str]]] = {}
    for profile in ElementTree.parse(CONFIG / 'sros2_policy.xml').iter('profile'):
        node = profile.get('node')
        kinds = found[node] = {kind: set() for kind in KINDS}
        for group in profile:
            (verb,) = group.keys()
            assert group.get(verb) == 'ALLOW'
            names = {entry.text.replace('~', f'/{node}', 1) for entry in group}
            kinds[f'{group.tag} {verb}'] |= {f'/{name.lstrip("/")}' for name in names} - {BOND}
    return found


@pytest.fixture
def graph(processes, listener, calibration, tmp_path):
    """Start all nodes; return a function that reads their topics and services."""
    processes.start('fake_monitor.py', '--ros-args', '-p', 'input_timeout:=0.0')
    processes.start(
        'viva_ros.nodes', 'supervisor', '--ros-args', '-p', f'calibration:={calibration}'
    )
    processes.start('viva_ros.nodes', 'black_box', '--ros-args', '-p', f'folder:={tmp_path}')

    def read() -> dict[str, dict[str, set[str]]]:
        present = [name for name in listener.get_node_names() if name in NODES]
        return {
            node: {
                kind: {name for name, _ in getattr(listener, method)(node, '/')} - {BOND}
                for kind, method in KINDS.items()
            }
            for node in present
        }

    return read


def test_policy_equals_topics_and_services_of_live_graph(graph):
    policy, end = allowed(), time.monotonic() + PATIENCE
    while graph() != policy and time.monotonic() < end:
        time.sleep(0.2)
    live = graph()
    for node, kinds in policy.items():
        for kind, names in kinds.items():
            assert live[node][kind] == names, f'{node}: {kind}'


def test_every_node_has_an_enclave():
    from viva_ros.nodes.registry import LAUNCHES

    assert set(allowed()) == {program.name for program in LAUNCHES['monitor'][0]}
