# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ViVa, its baselines and its ablations: the same data, the same budget, the same judge."""
