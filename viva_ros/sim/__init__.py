# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot: real physics and rendered cameras for the demo, the tests and the data."""

import os

# Before anything imports mujoco, which reads it then: a robot has no screen.
os.environ.setdefault('MUJOCO_GL', 'egl')
