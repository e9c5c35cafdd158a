# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import gc
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.context import Context

from viva_ros.nodes.lifecycle import SUCCESS, ManagedNode
from viva_ros.nodes.settings import MonitorSettings


class Idle(ManagedNode[MonitorSettings]):
    """Has nothing to do."""

    def __init__(self, context: Context) -> None:
        super().__init__('idle', MonitorSettings(), context=context)

    def setup(self, settings: MonitorSettings, prepared: None) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def teardown(self) -> None: ...


@pytest.fixture
def node(domain: None) -> Iterator[Idle]:
    context = Context()
    rclpy.init(context=context)
    made = Idle(context)
    yield made
    made.close()
    made.destroy_node()
    context.try_shutdown()


def test_what_was_loaded_is_not_looked_through_for_garbage_while_a_node_is_active(node: Idle):
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    assert gc.get_freeze_count() > 10_000
    assert node.trigger_deactivate() == node.trigger_cleanup() == SUCCESS
    assert gc.get_freeze_count() == 0
