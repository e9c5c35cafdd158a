# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measurements on a GPU in one command; see README.md. Not installed with viva_ros."""
