# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings and episodes: the same ROS 2 messages live and offline, without ROS."""
