# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Row 27 of the fault table, without encryption: Fast DDS in the wheels is built without security.

The policy file must list exactly the topics, services and actions of the nodes in the live graph.
"""

import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from support.ros import PATIENCE

CONFIG = Path(__file__).parents[2] / 'config'
NODES = ('monitor', 'supervisor', 'black_box')
BOND = '/bond'  # published only where the messages of the package bond are installed
#: Subscribed by the black box if the supervisor calls an action.
STATUS = '/retry/_action/status'
#: Topics by parameters: the policy names those who need permission, since the names are free.
REPORTS = {'robot.executing_topic': '/executing', 'robot.stopped_topic': '/stopped'}
BLACK_BOX_TOPICS = ".//profile[@node='black_box']/topics[@subscribe='ALLOW']/topic"
RULES = {  # element of a profile: its verbs, and its entries
    'topics': ({'publish', 'subscribe'}, 'topic'),
    'services': ({'reply', 'request'}, 'service'),
    'actions': ({'call', 'execute'}, 'action'),
}
#: What SROS2 makes of the permission to call an action.
CALL = {
    'topics publish': (),
    'topics subscribe': ('feedback', 'status'),
    'services reply': (),
    'services request': ('send_goal', 'cancel_goal', 'get_result'),
}
KINDS = {
    'topics publish': 'get_publisher_names_and_types_by_node',
    'topics subscribe': 'get_subscriber_names_and_types_by_node',
    'services reply': 'get_service_names_and_types_by_node',
    'services request': 'get_client_names_and_types_by_node',
}


def policy_of() -> ElementTree.Element:
    return ElementTree.parse(CONFIG / 'sros2_policy.xml').getroot()


def called() -> set[str]:
    """Return the actions that the supervisor may call."""
    (rule,) = policy_of().iter('actions')
    assert rule.attrib == {'call': 'ALLOW'}
    return {f'/{one.text}' for one in rule}


def allowed() -> dict[str, dict[str, set[str]]]:
    """Return the policy without actions and their status: node to kind to resolved names."""
    found: dict[str, dict[str, set[str]]] = {}
    for profile in policy_of().iter('profile'):
        node = profile.get('node')
        kinds = found[node] = {kind: set() for kind in KINDS}
        for group in profile:
            if group.tag == 'actions':
                continue
            (verb,) = group.keys()
            assert group.get(verb) == 'ALLOW'
            names = {entry.text.replace('~', f'/{node}', 1) for entry in group}
            kinds[f'{group.tag} {verb}'] |= {f'/{name.lstrip("/")}' for name in names} - {
                BOND,
                STATUS,
            }
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


def change_state(listener, *transitions: int) -> None:
    for number in transitions:
        request = ChangeState.Request(transition=Transition(id=number))
        assert listener.call(ChangeState, '/supervisor/change_state', request).success, number


def test_policy_equals_topics_and_services_of_live_graph(graph, listener):
    policy, end = allowed(), time.monotonic() + PATIENCE
    while graph() != policy and time.monotonic() < end:
        time.sleep(0.2)
    live = graph()
    for node, kinds in policy.items():
        for kind, names in kinds.items():
            assert live[node][kind] == names, f'{node}: {kind}'

    # Any participant can configure a node again, with topics of the robot's reports and an action.
    change_state(listener, Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    changes = {**REPORTS, 'retry.by': 'action'}
    request = SetParameters.Request(
        parameters=[
            Parameter(name, value=text).to_parameter_msg() for name, text in changes.items()
        ]
    )
    answer = listener.call(SetParameters, '/supervisor/set_parameters', request)
    assert all(one.successful for one in answer.results), answer
    change_state(listener, Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    kind, end = 'topics subscribe', time.monotonic() + PATIENCE
    wanted = {name: set(kinds[kind]) for name, kinds in policy.items()}
    wanted['supervisor'] |= {*REPORTS.values(), STATUS, '/retry/_action/feedback'}
    wanted['black_box'] |= {*REPORTS.values(), STATUS}

    def subscribed() -> dict[str, set[str]]:
        return {node: kinds[kind] for node, kinds in graph().items()}

    while subscribed() != wanted and time.monotonic() < end:
        time.sleep(0.2)
    assert subscribed() == wanted


@pytest.mark.fast
def test_policy_names_the_nodes_that_need_topics_of_parameters():
    text = ' '.join((CONFIG / 'sros2_policy.xml').read_text().split())
    names = ' and '.join(REPORTS)
    assert f'Allow supervisor and black_box to subscribe to {names} if they are set' in text
    assert STATUS[1:] in {one.text for one in policy_of().iterfind(BLACK_BOX_TOPICS)}


@pytest.mark.parametrize('by', ['action', 'cancel'])
def test_policy_covers_supervisor_that_calls_an_action(processes, listener, calibration, by):
    processes.start(
        'viva_ros.nodes', 'supervisor', '--ros-args', '-p', f'calibration:={calibration}',
        '-p', f'retry.by:={by}',
    )  # fmt: skip
    policy, end = allowed()['supervisor'], time.monotonic() + PATIENCE
    wanted = {
        kind: {f'{name}/_action/{part}' for name in called() for part in parts}
        for kind, parts in CALL.items()
    }

    def beyond() -> dict[str, set[str]]:
        """Return what the node has that the policy without actions does not allow."""
        if 'supervisor' not in listener.get_node_names():
            return {}
        return {
            kind: {name for name, _ in getattr(listener, method)('supervisor', '/')} - policy[kind]
            - {BOND}
            for kind, method in KINDS.items()
        }  # fmt: skip

    def is_whole() -> bool:
        found = beyond()
        return found == wanted if by == 'action' else bool(found.get('services request'))

    while not is_whole() and time.monotonic() < end:
        time.sleep(0.2)
    found = beyond()
    assert found and all(found[kind] <= wanted[kind] for kind in wanted), found
    if by == 'action':
        assert found == wanted


@pytest.mark.fast
def test_policy_has_the_form_of_sros2():
    """As in policy.xsd of sros2, version 0.2.0."""
    root = policy_of()
    assert (root.tag, root.attrib) == ('policy', {'version': '0.2.0'})
    (enclaves,) = root
    assert enclaves.tag == 'enclaves' and len(enclaves)
    for enclave in enclaves:
        assert enclave.tag == 'enclave' and set(enclave.attrib) == {'path'}
        (profiles,) = enclave
        assert profiles.tag == 'profiles' and not profiles.attrib
        for profile in profiles:
            assert profile.tag == 'profile' and set(profile.attrib) == {'ns', 'node'}
            for rule in profile:
                verbs, entry = RULES[rule.tag]
                assert set(rule.attrib) <= verbs and set(rule.attrib.values()) == {'ALLOW'}
                assert len(rule) and all(one.tag == entry and one.text for one in rule)


def test_every_node_has_an_enclave():
    from viva_ros.nodes.registry import LAUNCHES

    assert set(allowed()) == {program.name for program in LAUNCHES['monitor'][0]}
