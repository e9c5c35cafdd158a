# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Memory and processor time of processes, and ending with the parent, on Linux.

Processor time is from the kernel's clock of the process, in nanoseconds: /proc/PID/stat counts
ticks of 10 ms, the time of one estimate; /proc/PID/schedstat counts the first thread alone.
"""

import ctypes
import os
import time
from pathlib import Path
from typing import Final

from viva_ros.core.progress_watch import ProcessUsage, ThreadUsage


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


PROC: Final = Path('/proc')
#: Fields of /proc/PID/stat behind the name of the program (proc_pid_stat(5)).
STATE, MAJOR_FAULTS, USER_TICKS, SYSTEM_TICKS = 0, 9, 11, 12
RUNNABLE: Final = 'R'


def process_usage(process_id: int, proc: Path = PROC) -> ProcessUsage | None:
    """
    Return what each thread of a process has used and waited for.

    A kernel without schedstat counts CPU time in ticks of 10 ms, and no waiting.

    :param proc: where the kernel shows processes
    :returns: None if it does not show this process
    """
    folder = proc / str(process_id)
    threads = {}
    try:
        faults = int(_fields(folder / 'stat')[MAJOR_FAULTS])
        numbers = [int(name) for name in os.listdir(folder / 'task')]
    except (OSError, ValueError, IndexError):
        return None
    for number in numbers:
        try:
            threads[number] = _thread_usage(folder / 'task' / str(number))
        except (OSError, ValueError, IndexError):  # it has ended
            continue
    return ProcessUsage(threads, faults) if threads else None


def _thread_usage(folder: Path) -> ThreadUsage:
    fields = _fields(folder / 'stat')
    runnable = fields[STATE] == RUNNABLE
    try:
        used, waited, *_ = (folder / 'schedstat').read_text().split()
    except (OSError, ValueError):
        used = waited = '0'
    if int(used):
        return ThreadUsage(1e-9 * int(used), 1e-9 * int(waited), runnable)
    ticks = int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])
    return ThreadUsage(ticks / os.sysconf('SC_CLK_TCK'), 0.0, runnable)


def _fields(path: Path) -> list[str]:
    return path.read_text(encoding='utf-8', errors='replace').rpartition(')')[2].split()


PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def signal_at_end_of_parent(number: int) -> None:
    """Make the kernel send a signal to this process when the thread that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
