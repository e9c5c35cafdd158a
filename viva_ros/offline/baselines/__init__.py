# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What any figure must be held against: each learns from the same data, one file for each."""

from viva_ros.evaluation.time_counter import TimeCounter

__all__ = ['TimeCounter']
