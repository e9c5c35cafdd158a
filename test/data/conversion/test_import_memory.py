# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Peak memory of an import: bounded, and without growth with the pictures of an episode."""

import subprocess
import sys
from pathlib import Path

import pytest
from support import picture_streams
from support.picture_streams import SIZE, STREAMS

pytestmark = pytest.mark.medium

SHORT, LONG = 100, 300  # pictures
BYTES = (LONG - SHORT) * 3 * SIZE[0] * SIZE[1]  # 46 MB
HD = (1080, 1920)
#: Read in each run; the others in scripts/nightly.
OFTEN = ('chunks', 'ros1', 'lerobot_images', 'video_packets')
#: Bytes; images in Parquet are read by pages, whose size is a choice of the writer.
BOUNDS = {**dict.fromkeys(STREAMS, 360e6), 'lerobot_images': 700e6}
#: Imports episodes one after the other; prints the peak memory of each, bytes.
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

print(*(peak(Path(path)) for path in sys.argv[2:]))
"""


def peaks(folder: Path, name: str, *counts: int) -> list[int]:
    """Return the peak memory of imports of episodes with so many pictures, bytes."""
    suffix, write, text = STREAMS[name]
    (folder / 'map.yaml').write_text(text)
    paths = [folder / f'{count}{suffix}' for count in counts]
    for path, count in zip(paths, counts, strict=True):
        write(path, count)
    line = [sys.executable, '-c', SCRIPT, folder / 'map.yaml', *paths]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]


@pytest.mark.parametrize(
    'name', [pytest.param(n, marks=() if n in OFTEN else pytest.mark.slow) for n in STREAMS]
)
def test_peak_memory_does_not_grow_with_the_pictures(tmp_path: Path, name: str) -> None:
    _, short, long = peaks(tmp_path, name, SHORT - 1, SHORT, LONG)  # the first fills all caches
    assert long - short < BYTES / 4


@pytest.mark.slow
@pytest.mark.parametrize('name', STREAMS)
def test_peak_memory_with_hd_pictures_is_bounded(tmp_path: Path, name: str, monkeypatch) -> None:
    monkeypatch.setattr(picture_streams, 'SIZE', HD)
    assert peaks(tmp_path, name, 40)[0] < BOUNDS[name]
