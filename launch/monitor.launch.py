# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Monitor and supervisor, for a robot that publishes its cameras and joint states."""

from viva_ros.bringup.launch_file import describe


def generate_launch_description():
    """Return what ros2 launch starts."""
    return describe('monitor')
