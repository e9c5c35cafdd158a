# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Monitor, supervisor and black box, for a robot that publishes cameras and joint states."""

from viva_ros.bringup.launch_file import describe


def generate_launch_description():
    """Return the launch description."""
    return describe('monitor')
