# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot, monitor and supervisor; call the service 'start' to begin."""

from viva_ros.bringup.launch_file import describe


def generate_launch_description():
    """Return the launch description."""
    return describe('demo')
