# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math
import subprocess
import sys

from viva_ros.engine.usage import peak_mib

CHILD = 'from viva_ros.engine.usage import peak_mib; print(peak_mib())'


def test_the_peak_of_a_small_process_is_its_own_and_not_that_of_its_large_parent():
    ballast = b'x' * (300 << 20)
    assert peak_mib() > len(ballast) >> 20
    child = subprocess.run(
        [sys.executable, '-c', CHILD], capture_output=True, text=True, check=True
    )
    assert 5.0 < float(child.stdout) < 200.0


def test_of_a_process_that_is_gone_it_cannot_be_told():
    assert math.isnan(peak_mib(2**22 + 1))
