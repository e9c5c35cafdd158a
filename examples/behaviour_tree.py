# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A py_trees condition on the state of the supervisor.

    sudo apt install ros-$ROS_DISTRO-py-trees     # or, without ROS 2: pip install 'viva_ros[bt]'
    python examples/behaviour_tree.py             # prints the tree ten times a second

The condition is the first child of a sequence without memory, before the task. During an alarm it
fails: the sequence stops the task, and the selector above runs the return to the start. The
selector has memory, so that the return, which is not supervised, is not interrupted. While the
value is unknown, or an operator is required, the condition is RUNNING and the task waits. Keep
``retry.dry_run: true`` if the tree retries: only one program may start a retry.
"""

import py_trees
import rclpy
from py_trees.common import Status
from rclpy.node import Node

from viva_ros.core.events import Level
from viva_ros.msg import SupervisorState
from viva_ros.nodes import qos

WAITING = (Level.UNKNOWN, Level.LATCHED, Level.NEEDS_OPERATOR)


class SupervisorCondition(py_trees.behaviour.Behaviour):
    """
    FAILURE during an alarm; RUNNING while unknown, latched or in need of an operator.

    Else SUCCESS, also while paused, such as before the task. Without a supervisor the state is
    unknown.
    """

    def __init__(
        self, node: Node, name: str = 'no alarm', topic: str = 'supervisor/state'
    ) -> None:
        super().__init__(name)
        self.level = int(Level.UNKNOWN)
        self._supervisors = lambda: node.count_publishers(topic)
        node.create_subscription(SupervisorState, topic, self.store, qos.LATCHED_READER)

    def store(self, state: SupervisorState) -> None:
        """Store the state; the topic is transient local, so the last state is received."""
        self.level = state.level
        self.feedback_message = state.reason

    def update(self) -> Status:
        """Return the status of a tick."""
        if not self._supervisors():
            self.feedback_message = 'no supervisor'
            return Status.RUNNING
        if self.level == Level.ALARM:
            return Status.FAILURE
        return Status.RUNNING if self.level in WAITING else Status.SUCCESS


def make_tree(
    condition: py_trees.behaviour.Behaviour, task: py_trees.behaviour.Behaviour,
    way_home: py_trees.behaviour.Behaviour,
) -> py_trees.behaviour.Behaviour:  # fmt: skip
    """Return a tree that runs the task under the condition, else the way home, and repeats."""
    work = py_trees.composites.Sequence('work', memory=False, children=[condition, task])
    return py_trees.composites.Selector('work or go home', memory=True, children=[work, way_home])


def main() -> None:
    """Tick a tree of an endless task and a way home of 30 ticks."""
    rclpy.init()
    node = Node('behaviour_tree')
    task = py_trees.behaviours.Running('the task')
    way_home = py_trees.behaviours.TickCounter('the way home', 30, Status.SUCCESS)
    tree = make_tree(SupervisorCondition(node), task, way_home)
    node.create_timer(0.1, lambda: (tree.tick_once(), print(py_trees.display.unicode_tree(
        tree, show_status=True))))  # fmt: skip
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass


if __name__ == '__main__':
    main()
