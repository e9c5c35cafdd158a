# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The quality of service of each kind of topic, in one place."""

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

#: Images: only the newest counts.
IMAGE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)

#: Joint states: a short history is kept, since they are matched to images by stamp.
JOINTS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)

#: What is computed: none may be lost.
RELIABLE = QoSProfile(depth=10)

#: What still holds when someone subscribes late.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

#: For those who read what is latched: alerts may come in a burst.
LATCHED_READER = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)

#: Who listens with this is told within a second that a node hangs or is gone.
HEARTBEAT = QoSProfile(
    depth=1,
    liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
    liveliness_lease_duration=Duration(seconds=1),
)
