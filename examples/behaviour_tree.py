# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A condition for a behaviour tree of py_trees: whether the task is going well.

    sudo apt install ros-$ROS_DISTRO-py-trees     # or, without ROS 2: pip install 'viva_ros[bt]'
    python examples/behaviour_tree.py        # prints the condition ten times a second

In a tree it stands before the task, in a sequence that is ticked again and again: while an alarm
is on it fails, the task is stopped, and the tree goes back and tries again. The selector above has
a memory: on the way home nothing is judged, and the way home must not be interrupted. What is not
known is no success, nor is what a person must still acknowledge or see to: then the condition is
RUNNING, and the task waits. Where the tree retries, leave ``retry.dry_run: true``: there is one
master.
"""

import py_trees
import rclpy
from py_trees.common import Status
from rclpy.node import Node

from viva_ros.core.events import Level
from viva_ros.msg import SupervisorState
from viva_ros.nodes import qos

WAITING = (Level.UNKNOWN, Level.LATCHED, Level.NEEDS_OPERATOR)


class GoesWell(py_trees.behaviour.Behaviour):
    """
    SUCCESS while no alarm is on, FAILURE while one is, RUNNING while nothing is known.

    Before a task, where nothing is judged (PAUSED), nothing speaks against it: SUCCESS. A state
    that nobody publishes any more is not known.
    """

    def __init__(
        self, node: Node, name: str = 'goes well', topic: str = 'supervisor/state'
    ) -> None:
        super().__init__(name)
        self.level = int(Level.UNKNOWN)
        self._supervisors = lambda: node.count_publishers(topic)
        node.create_subscription(SupervisorState, topic, self.hear, qos.LATCHED_READER)

    def hear(self, state: SupervisorState) -> None:
        """Take the state of the supervision; it is latched, so the last one holds."""
        self.level = state.level
        self.feedback_message = state.reason

    def update(self) -> Status:
        """Tick."""
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
    """Return a tree that works while it goes well, else goes home, and begins again."""
    work = py_trees.composites.Sequence('work', memory=False, children=[condition, task])
    return py_trees.composites.Selector('work or go home', memory=True, children=[work, way_home])


def main() -> None:
    """Tick a task that never ends, and a way home of 30 ticks."""
    rclpy.init()
    node = Node('behaviour_tree')
    task = py_trees.behaviours.Running('the task')
    way_home = py_trees.behaviours.TickCounter('the way home', 30, Status.SUCCESS)
    tree = make_tree(GoesWell(node), task, way_home)
    node.create_timer(0.1, lambda: (tree.tick_once(), print(py_trees.display.unicode_tree(
        tree, show_status=True))))  # fmt: skip
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass


if __name__ == '__main__':
    main()
