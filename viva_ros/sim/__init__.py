# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated robots and tasks: physics and rendered cameras, for the demo, tests and data."""

import os

# mujoco reads it on import; EGL renders without a display.
os.environ.setdefault('MUJOCO_GL', 'egl')
