# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A condition for a behaviour tree of py_trees: whether the task is going well.

    sudo apt install ros-$ROS_DISTRO-py-trees     # or, without ROS 2: pip install 'viva_ros[bt]'
    python examples/behaviour_tree.py        # prints the condition ten times a second

In a tree it stands before the task, in a sequence that is ticked again and again: while an alarm
is on it fails, the task is stopped, and a fallback can go back and try again. What is not known is
no success, nor is an alarm that a person must still acknowledge: then the condition is RUNNING,
and the task waits. Where the tree retries, leave ``retry.dry_run: true``: there is one master.
"""

import py_trees
import rclpy
from py_trees.common import Status
from rclpy.node import Node

from viva_ros.core.events import ALARMING, Level
from viva_ros.msg import SupervisorState
from viva_ros.nodes import qos

WAITING = (Level.UNKNOWN, Level.LATCHED)


class GoesWell(py_trees.behaviour.Behaviour):
    """
    SUCCESS while no alarm is on, FAILURE while one is, RUNNING while nothing is known.

    Before a task, where nothing is judged (PAUSED), nothing speaks against it: SUCCESS.
    """

    def __init__(
        self, node: Node, name: str = 'goes well', topic: str = 'supervisor/state'
    ) -> None:
        super().__init__(name)
        self.level = int(Level.UNKNOWN)
        node.create_subscription(SupervisorState, topic, self.hear, qos.LATCHED_READER)

    def hear(self, state: SupervisorState) -> None:
        """Take the state of the supervision; it is latched, so the last one holds."""
        self.level = state.level
        self.feedback_message = state.reason

    def update(self) -> Status:
        """Tick."""
        if self.level in ALARMING:
            return Status.FAILURE
        return Status.RUNNING if self.level in WAITING else Status.SUCCESS


def main() -> None:
    """Tick the condition before a task that never ends."""
    rclpy.init()
    node = Node('behaviour_tree')
    task = py_trees.behaviours.Running('the task')
    tree = py_trees.composites.Sequence('work', memory=False, children=[GoesWell(node), task])
    node.create_timer(0.1, lambda: (tree.tick_once(), print(py_trees.display.unicode_tree(
        tree, show_status=True))))  # fmt: skip
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass


if __name__ == '__main__':
    main()
