# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `viva train` is made of."""
