# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Crashes of readers that are found and not mended yet: target, signature, reason.

Each has an input in corpus/TARGET/. A line that no longer occurs is deleted; its input stays.
"""

from collections.abc import Mapping
from typing import Final

KNOWN: Final[Mapping[str, Mapping[str, str]]] = {}
