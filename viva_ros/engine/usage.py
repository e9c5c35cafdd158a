# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Memory and processor time of processes, and ending with the parent, on Linux.

Processor time is the count of the kernel in nanoseconds: /proc/PID/stat counts ticks of
10 ms, as much as an estimate takes; /proc/PID/schedstat leaves out all threads but the first.
"""

import ctypes
import time
from pathlib import Path
from typing import Final


def peak_mib(process: int | str = 'self') -> float:
    """
    Return the peak, MiB; NaN where it cannot be told.

    ``getrusage`` will not do: its peak is that of the parent too, if that was larger.
    """
    return _status_mib(process, 'VmHWM')


def resident_mib(process: int | str = 'self') -> float:
    """Return the memory that a process holds now, MiB; NaN if it is gone."""
    return _status_mib(process, 'VmRSS')


def _status_mib(process: int | str, key: str) -> float:
    try:
        lines = Path(f'/proc/{process}/status').read_text(encoding='utf-8').splitlines()
    except OSError:
        return float('nan')
    found = (line.split()[1] for line in lines if line.startswith(f'{key}:'))
    return float(next(found, 'nan')) / 1024


#: Of the kernel's clock identifiers (linux/posix-timers.h): time on a processor, all threads.
SCHEDULED: Final = 2


def cpu_seconds(process_id: int) -> float:
    """Return the time that all threads of a process have run, s; NaN if it is gone."""
    try:
        return time.clock_gettime((~process_id << 3) | SCHEDULED)
    except OSError:
        return float('nan')


PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def signal_at_end_of_parent(number: int) -> None:
    """Have the kernel send a signal to this process when the thread that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
