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
    """A node without work."""

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


def test_garbage_collection_is_frozen_while_active(node: Idle):
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    assert gc.get_freeze_count() > 10_000
    assert node.trigger_deactivate() == node.trigger_cleanup() == SUCCESS
    assert gc.get_freeze_count() == 0
