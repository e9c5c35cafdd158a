# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far the supervision can be trusted, measured on episodes never used before."""
