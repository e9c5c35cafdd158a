# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are generated from the code: parameter files of the nodes, reference pages."""
