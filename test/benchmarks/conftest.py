# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks are not installed: they are imported from the sources."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # last: an installed viva_ros goes first
