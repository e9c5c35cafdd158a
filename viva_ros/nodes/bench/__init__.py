# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The processes of `viva bench` that speak ROS: cameras, the monitor, and one written plainly."""
