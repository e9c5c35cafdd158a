# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings and episodes: the ROS 2 messages of the live system, read without ROS."""
