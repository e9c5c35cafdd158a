# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The calls of nav2_lifecycle_manager, and its bond with the nodes.

The manager is C++ and has no wheel: the test makes its calls in its order, and bondpy, if it is
installed, replaces its end of the bond.
"""

import importlib.util
import signal
import time

import pytest
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.duration import Duration
from support.ros import PATIENCE

NODES = ('monitor', 'supervisor', 'black_box')
GOALS = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
    Transition.TRANSITION_DEACTIVATE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_CLEANUP: State.PRIMARY_STATE_UNCONFIGURED,
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN: State.PRIMARY_STATE_FINALIZED,
}
HERE = ('--ros-args', '-r', '__ns:=/cell', '-p', 'autostart:=false')

needs_bond = pytest.mark.skipif(
    importlib.util.find_spec('bondpy') is None,
    reason='bondpy is not installed: it comes with ROS 2, not with the wheels',
)


def state(listener, node):
    return listener.call(GetState, f'/cell/{node}/get_state', GetState.Request()).current_state.id


def change(listener, node, transition):
    """Do as changeStateForNode of the manager: read the state directly after the transition."""
    request = ChangeState.Request(transition=Transition(id=transition))
    assert listener.call(ChangeState, f'/cell/{node}/change_state', request).success
    assert state(listener, node) == GOALS[transition]


@pytest.fixture
def unconfigured(processes, listener, calibration, tmp_path):
    """Start the nodes with autostart:=false; return their processes by name."""
    (tmp_path / 'level').write_text('200')
    processes.start(
        'fake_source.py', tmp_path, 'head', 'left_wrist', 'right_wrist', 'joint_states', *HERE[:3]
    )
    return {
        'monitor': processes.start('fake_monitor.py', *HERE, '-p', 'transport:=raw'),
        'supervisor': processes.start(
            'viva_ros.nodes.supervisor', *HERE, '-p', f'calibration:={calibration}'
        ),
        'black_box': processes.start(
            'viva_ros.nodes.black_box', *HERE, '-p', f'folder:={tmp_path / "box"}'
        ),
    }


def test_nodes_follow_all_transitions_of_nav2_manager(unconfigured, listener):
    for node in NODES:
        assert state(listener, node) == State.PRIMARY_STATE_UNCONFIGURED
    startup = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    reset = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    for transition in (*startup, *reset, *startup):  # startup, reset, startup
        order = NODES if transition in startup else reversed(NODES)
        for node in order:
            change(listener, node, transition)
    for transition in (*reset, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN):  # shutdown
        for node in reversed(NODES):
            change(listener, node, transition)
    for process in unconfigured.values():
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


@needs_bond
def test_bond_forms_on_activate_and_breaks_on_deactivate(unconfigured, listener):
    from bondpy.bondpy import Bond

    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        change(listener, 'supervisor', transition)
    bond = Bond(listener, '/cell/bond', 'supervisor')
    bond.set_heartbeat_timeout(4.0)
    bond.set_heartbeat_period(0.1)
    bond.start()
    assert bond.wait_until_formed(Duration(seconds=2.0))
    time.sleep(5.0)
    assert not bond.is_broken(), 'the bond holds longer than the timeout'
    change(listener, 'supervisor', Transition.TRANSITION_DEACTIVATE)
    assert bond.wait_until_broken(Duration(seconds=2.0)), 'at once, not after the timeout'
