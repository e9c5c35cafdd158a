# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math
import os
import signal
import subprocess
import sys
import time

import pytest

from viva_ros.core.progress_watch import ThreadUsage
from viva_ros.engine.usage import cpu_seconds, peak_mib, process_usage, resident_mib

PEAK_OF_CHILD = 'from viva_ros.engine.usage import peak_mib; print(peak_mib())'
WORK_OF_CHILD = """
import threading, time
def work(seconds):
    while time.thread_time() < seconds:
        pass
threads = [threading.Thread(target=work, args=(0.05,)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(time.process_time(), flush=True)
input()
"""


def test_peak_of_child_excludes_its_parent():
    ballast = b'x' * (300 << 20)
    assert peak_mib() > len(ballast) >> 20
    child = subprocess.run(
        [sys.executable, '-c', PEAK_OF_CHILD], capture_output=True, text=True, check=True
    )
    assert 5.0 < float(child.stdout) < 200.0


def test_memory_of_ended_process_is_nan():
    assert math.isnan(peak_mib(2**22 + 1))
    assert math.isnan(resident_mib(2**22 + 1))


def test_resident_memory_falls_when_memory_is_freed():
    ballast = b'x' * (300 << 20)
    assert resident_mib() > len(ballast) >> 20
    del ballast
    assert resident_mib() < peak_mib() - 200.0


def test_cpu_time_includes_ended_threads():
    child = subprocess.Popen(
        [sys.executable, '-c', WORK_OF_CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    own = float(child.stdout.readline())
    assert own >= 4 * 0.05
    assert own <= cpu_seconds(child.pid) < own + 0.1
    child.communicate('\n')
    assert math.isnan(cpu_seconds(child.pid))


STAT = '7 (a (b) c) {state} 1 7 7 0 -1 4 100 0 {faults} 0 {user} {system} 0 0 20 0 2 0 5'


def write_process(proc, threads, faults=3):
    """Write the files of process 7: thread id to state, ticks, and text of schedstat or None."""
    (proc / '7').mkdir()
    text = STAT.format(state='S', faults=faults, user=0, system=0)
    (proc / '7/stat').write_text(text)
    for number, (state, user, system, schedstat) in threads.items():
        folder = proc / f'7/task/{number}'
        folder.mkdir(parents=True)
        text = STAT.format(state=state, faults=0, user=user, system=system)
        (folder / 'stat').write_text(text)
        if schedstat is not None:
            (folder / 'schedstat').write_text(schedstat)


def test_usage_of_threads_is_read_in_nanoseconds(tmp_path):
    write_process(tmp_path, {7: ('S', 1, 2, '1500000000 250000000 9'), 8: ('R', 0, 0, '5000 0 1')})
    found = process_usage(7, tmp_path)
    assert found.page_faults == 3
    assert found.threads[7] == ThreadUsage(1.5, 0.25, runnable=False)
    assert found.threads[8].runnable and found.threads[8].used == pytest.approx(5e-6)


@pytest.mark.parametrize('schedstat', [None, '0 0 0', 'x'], ids=['missing', 'off', 'foreign'])
def test_usage_without_schedstat_is_counted_in_ticks(tmp_path, schedstat):
    write_process(tmp_path, {7: ('D', 120, 30, schedstat)})
    ticks = os.sysconf('SC_CLK_TCK')
    assert process_usage(7, tmp_path).threads[7] == ThreadUsage(150 / ticks, 0.0, runnable=False)


def test_usage_of_hidden_or_ended_process_is_none(tmp_path):
    assert process_usage(7, tmp_path) is None
    assert process_usage(2**22 + 1) is None
    (tmp_path / '7').mkdir()
    (tmp_path / '7/stat').write_text('7 (a) S 1')
    assert process_usage(7, tmp_path) is None


def test_usage_of_stopped_process_stands_still():
    child = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
    try:
        end = time.monotonic() + 60.0
        while process_usage(child.pid).threads[child.pid].used < 0.05:
            assert time.monotonic() < end
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        first = process_usage(child.pid).threads[child.pid]
        time.sleep(0.05)
        assert process_usage(child.pid).threads[child.pid] == first and not first.runnable
    finally:
        child.kill()
        child.wait()
