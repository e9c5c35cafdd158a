# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""On what, and with which libraries, something was made or measured."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

CPUS: Final = Path('/proc/cpuinfo')


def processor() -> str:
    """Name the processor as Linux does, else as Python does."""
    try:
        lines = CPUS.read_text(encoding='utf-8', errors='replace').splitlines()
    except OSError:
        lines = []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def versions(names: Sequence[str]) -> dict[str, str]:
    """Give the versions of libraries by name; what is not installed is left out."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
