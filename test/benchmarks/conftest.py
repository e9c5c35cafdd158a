# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Import the benchmarks from the sources: they are not installed."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # last: an installed viva_ros has priority
