# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: a simulated robot fails, the supervisor raises an alarm, and the robot retries."""
