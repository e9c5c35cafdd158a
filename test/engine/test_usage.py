# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math
import subprocess
import sys

from viva_ros.engine.usage import cpu_seconds, peak_mib, resident_mib

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
