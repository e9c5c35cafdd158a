# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Peak memory of an import does not grow with the pictures of an episode."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.picture_streams import SIZE, STREAMS

pytestmark = pytest.mark.medium

SHORT, LONG = 100, 300  # pictures; the short episode fills what is kept of a file
BYTES = (LONG - SHORT) * 3 * SIZE[0] * SIZE[1]  # 46 MB
#: Imports the short and the long episode; prints the growth of the peak memory, bytes.
SCRIPT = """
import sys
from pathlib import Path
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.convert import import_all
from viva_ros.data.open import find
from viva_ros.robot.topic_map import load_map

def peak(path):
    Path('/proc/self/clear_refs').write_text('5')  # the peak begins anew
    report = import_all(
        find([path]), load_map(Path(sys.argv[1])), Outcomes(True), path.parent / f'{path.name}_set'
    )
    assert not report['episodes'][0]['refused'], report
    status = Path('/proc/self/status').read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith('VmHWM'))

short, long = (peak(Path(path)) for path in sys.argv[2:])
print(long - short)
"""


@pytest.mark.parametrize('name', STREAMS)
def test_peak_memory_does_not_grow_with_the_pictures(tmp_path: Path, name: str) -> None:
    suffix, write, text = STREAMS[name]
    map_file = tmp_path / 'map.yaml'
    map_file.write_text(text)
    paths = [tmp_path / f'{length}{suffix}' for length in ('short', 'long')]
    for path, count in zip(paths, (SHORT, LONG), strict=True):
        write(path, count)
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, str(map_file), *map(str, paths)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < BYTES / 4
