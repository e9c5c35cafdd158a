# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`viva bench`: what is fast, and by how much, in one run on one machine."""
