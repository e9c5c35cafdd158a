# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Memory and processor time of processes, and ending with the parent, on Linux.

Processor time is from the kernel's clock of the process, in nanoseconds: /proc/PID/stat counts
ticks of 10 ms, the time of one estimate; /proc/PID/schedstat counts the first thread alone.
"""

import ctypes
import time
from pathlib import Path
from typing import Final


def peak_mib(process: int | str = 'self') -> float:
    """
    Return the peak of resident memory, MiB; NaN if the process has ended.

    ``getrusage`` is not used: a child inherits the peak of its parent.
    """
    return _status_mib(process, 'VmHWM')


def resident_mib(process: int | str = 'self') -> float:
    """Return the resident memory of a process, MiB; NaN if it has ended."""
    return _status_mib(process, 'VmRSS')


def _status_mib(process: int | str, key: str) -> float:
    try:
        lines = Path(f'/proc/{process}/status').read_text(encoding='utf-8').splitlines()
    except OSError:
        return float('nan')
    found = (line.split()[1] for line in lines if line.startswith(f'{key}:'))
    return float(next(found, 'nan')) / 1024


#: Clock identifier of the kernel (linux/posix-timers.h): processor time of all threads.
SCHEDULED: Final = 2


def cpu_seconds(process_id: int) -> float:
    """Return the processor time of all threads of a process, s; NaN if it has ended."""
    try:
        return time.clock_gettime((~process_id << 3) | SCHEDULED)
    except OSError:
        return float('nan')


PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def signal_at_end_of_parent(number: int) -> None:
    """Make the kernel send a signal to this process when the thread that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
