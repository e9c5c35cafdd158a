# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Description of the machine, with the standard library only; it changes no setting."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

LIBRARIES: Final = ('torch', 'triton', 'diffusers', 'transformers', 'accelerate', 'peft', 'numpy')
FACTS: Final = ('name', 'driver_version', 'memory.total', 'power.limit')
CLOCKS: Final = ('clocks.sm', 'clocks.mem', 'power.draw', 'temperature.gpu')  # MHz, MHz, W, C
JETSON: Final = Path('/etc/nv_tegra_release')


def describe() -> dict[str, Any]:
    """Return device, driver, versions, date and command."""
    found: dict[str, Any] = {
        'command': shlex.join([Path(sys.executable).name, *sys.argv]),
        'date': f'{datetime.now(UTC):%Y-%m-%d %H:%M} UTC', 'system': platform.platform(),
        'python': platform.python_version(), 'cores': os.cpu_count(),
        'memory_gb': os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9,
        'libraries': _versions(), 'gpu': query(FACTS), 'clocks': {},
    }  # fmt: skip
    if JETSON.is_file():
        found['jetson'] = JETSON.read_text(encoding='utf-8').strip()[:300]
    return found


def query(names: tuple[str, ...]) -> dict[str, str]:
    """Read properties of the first GPU from nvidia-smi; empty without an answer."""
    line = ['nvidia-smi', f'--query-gpu={",".join(names)}', '--format=csv,noheader,nounits']
    try:
        answer = subprocess.run(line, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    first = (answer.stdout.splitlines() or [''])[0].split(', ')
    return dict(zip(names, first, strict=False)) if len(first) == len(names) else {}


class Clocks:
    """Lowest and highest clocks, power and temperature during the measurement."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}

    def look(self) -> None:
        """Add the current readings of nvidia-smi."""
        for name, text in query(CLOCKS).items():
            try:
                value = float(text)
            except ValueError:
                continue  # not reported by this chip
            low, high = self.seen.get(name, [value, value])
            self.seen[name] = [min(low, value), max(high, value)]


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
