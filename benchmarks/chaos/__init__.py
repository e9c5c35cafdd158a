# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random disturbances of a running watch, and invariants of its recording."""
