# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The most memory that a process has held since it was started, of Linux' own count."""

from pathlib import Path


def peak_mib(process: int | str = 'self') -> float:
    """
    Give the peak, MiB; NaN where it cannot be told.

    ``getrusage`` will not do: its peak is that of the parent too, if that was larger.
    """
    try:
        lines = Path(f'/proc/{process}/status').read_text(encoding='ascii').splitlines()
    except OSError:
        return float('nan')
    found = (line.split()[1] for line in lines if line.startswith('VmHWM:'))
    return float(next(found, 'nan')) / 1024
