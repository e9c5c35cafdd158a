# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several runs of the same case in one row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def medians(rows: Sequence[Mapping[str, Any]], by: Sequence[str]) -> list[dict[str, Any]]:
    """
    Give one row for each case: the median of each figure over its runs.

    :param by: keys that tell cases apart
    """
    runs: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        runs.setdefault(tuple(row[key] for key in by), []).append(row)
    return [{key: _median(key, same) for key in same[0]} for same in runs.values()]


def _median(key: str, runs: Sequence[Mapping[str, Any]]) -> Any:
    first = runs[0][key]
    return float(np.median([run[key] for run in runs])) if isinstance(first, float) else first
