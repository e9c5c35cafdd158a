# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The example of a behaviour tree, over real DDS."""

import pytest
from support.examples import load_example
from support.ros import wait

from viva_ros.msg import Alert, SupervisorState
from viva_ros.nodes import qos


def test_condition_follows_the_supervisor_state(listener):
    py_trees = pytest.importorskip('py_trees')
    module = load_example('behaviour_tree.py')
    states = listener.create_publisher(SupervisorState, 'supervisor/state', qos.LATCHED)
    condition = module.SupervisorCondition(listener)
    task = py_trees.behaviours.Running('task')
    tree = py_trees.composites.Sequence('work', memory=False, children=[condition, task])
    status = py_trees.common.Status

    def ticked(level: int) -> tuple:
        states.publish(SupervisorState(level=level, reason='because'))
        wait(lambda: condition.level == level, 'the state')
        tree.tick_once()
        return condition.status, task.status

    tree.tick_once()
    assert condition.status == status.RUNNING  # no state received yet
    assert ticked(Alert.OK) == (status.SUCCESS, status.RUNNING)
    assert ticked(Alert.ALARM) == (status.FAILURE, status.INVALID)  # the task is stopped
    assert condition.feedback_message == 'because'
    assert ticked(Alert.LATCHED)[0] == status.RUNNING  # until the operator acknowledges
    assert ticked(Alert.UNKNOWN)[0] == status.RUNNING
    assert ticked(Alert.PAUSED) == (status.SUCCESS, status.RUNNING)  # before the task
    assert ticked(Alert.NEEDS_OPERATOR) == (status.RUNNING, status.INVALID)  # it waits


def test_way_home_runs_to_its_end_while_paused(listener):
    py_trees = pytest.importorskip('py_trees')
    module = load_example('behaviour_tree.py')
    states = listener.create_publisher(SupervisorState, 'supervisor/state', qos.LATCHED)
    condition, status = module.SupervisorCondition(listener), py_trees.common.Status
    task = py_trees.behaviours.Running('task')
    home = py_trees.behaviours.TickCounter('home', 3, status.SUCCESS)
    tree = module.make_tree(condition, task, home)

    def ticked(level: int) -> tuple:
        states.publish(SupervisorState(level=level))
        wait(lambda: condition.level == level, 'the state')
        tree.tick_once()
        return task.status, home.status

    assert ticked(Alert.OK)[0] == status.RUNNING
    assert ticked(Alert.ALARM) == (status.INVALID, status.RUNNING)
    assert ticked(Alert.PAUSED) == (status.INVALID, status.RUNNING)  # on the way home
    while home.status == status.RUNNING:
        tree.tick_once()
    assert home.status == status.SUCCESS and task.status == status.INVALID
    tree.tick_once()
    assert task.status == status.RUNNING
    listener.destroy_publisher(states)
    wait(lambda: not listener.count_publishers('supervisor/state'), 'the end of the supervisor')
    tree.tick_once()
    assert condition.status == status.RUNNING  # unknown
