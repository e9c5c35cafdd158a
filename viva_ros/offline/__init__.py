# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tools at a desk: record, train, export, calibrate, score, evaluate, plot."""
