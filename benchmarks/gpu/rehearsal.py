# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Part 0, by option only: writes one row and hangs in the next, to test the time limit."""

import time
from typing import Any, Final

import torch

from .part import Part, run

HANGS: Final = 3600.0  # s


def measure(part: Part) -> None:
    """Measure one row, then hang."""
    part.row('known', lambda: {'sum': float(torch.ones(4, device=part.device).sum())})
    part.row('hangs', _hang)


def _hang() -> dict[str, Any]:
    time.sleep(HANGS)
    return {}


if __name__ == '__main__':
    raise SystemExit(run(__doc__, measure))
