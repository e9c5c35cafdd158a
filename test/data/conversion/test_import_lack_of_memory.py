# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An import whose memory does not suffice for a recording refuses it, and imports the others."""

import errno
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa
import pytest
from support.errors import raises
from support.foreign_bags import CAMERA, MS, BagOfMessages, two_arms

from viva_ros.data.bag import mcap_records, mcap_salvage
from viva_ros.data.conversion import convert
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.lerobot.video import encode
from viva_ros.data.open import find, open_recording
from viva_ros.robot.topic_map import load_map

MAP = 'rate: 10\ntask: fold\ncameras: {top: /top/image/compressed}\n' \
      'joints: [{topic: /joint_states}]\n'  # fmt: skip
LARGE = (7000, 8000)  # px: 168 MB, below the limit of a picture
#: Imports with 400 MB more than the libraries take; prints the figures.
SCRIPT = """
import json, resource, sys
from pathlib import Path
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.convert import import_all
from viva_ros.data.open import find
from viva_ros.robot.topic_map import load_map

status = Path('/proc/self/status').read_text().splitlines()
size = 1024 * next(int(line.split()[1]) for line in status if line.startswith('VmSize'))
resource.setrlimit(resource.RLIMIT_AS, (size + 400_000_000,) * 2)
folder = Path(sys.argv[1])
report = import_all(
    find([folder / 'bags']), load_map(folder / 'map.yaml'), Outcomes(True), folder / 'out'
)
print(json.dumps(report['episodes']))
"""


def lack_of_opencv() -> Exception:
    error = cv2.error('Failed to allocate 36000000 bytes')
    error.code = -4
    return error


def write(folder: Path) -> Path:
    """Write two bags and a map."""
    for name in ('one', 'two'):
        two_arms().write(folder / 'bags' / name)
    (folder / 'map.yaml').write_text(MAP)
    return folder


def imported(folder: Path) -> list[dict[str, Any]]:
    report = convert.import_all(
        find([folder / 'bags']), load_map(folder / 'map.yaml'), Outcomes(True), folder / 'out'
    )
    assert sorted(path.name for path in folder.iterdir()) == ['bags', 'map.yaml', 'out']
    return list(report['episodes'])


def check(rows: list[dict[str, Any]], folder: Path) -> None:
    """Check that the first recording was refused for its memory, and the second imported."""
    one, two = rows
    assert one['codes'] == ['recording-memory'] and two['refused'] == []
    assert one['source'] == str(folder / 'bags/one')
    assert 'memory does not suffice' in one['refused'][0]
    assert 'raise the limit of memory (ulimit -v)' in one['refused'][0]
    (episode,) = find([folder / 'out'])
    assert len(open_recording(episode).cameras['top'].times) == 20


@pytest.mark.fast
@pytest.mark.parametrize('error', [
    MemoryError(), pa.ArrowMemoryError('malloc of size 8 failed'),
    av.error.MemoryError(errno.ENOMEM, 'Cannot allocate memory'),
    OSError(errno.ENOMEM, 'Cannot allocate memory'), RuntimeError("can't start new thread"),
])  # fmt: skip
def test_recording_without_memory_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def lacking(path: Path, *rest: Any) -> Any:
        count = encode(path, *rest)
        if not failed:
            failed.append(path)
            raise error
        return count

    failed: list[Path] = []
    folder = write(tmp_path)
    monkeypatch.setattr(convert, 'encode', lacking)
    check(imported(folder), folder)
    assert not failed[0].exists()


@pytest.mark.fast
def test_picture_without_memory_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, decode, failed = write(tmp_path), cv2.imdecode, []

    def lacking(*arguments: Any) -> Any:
        if not failed:
            failed.append(True)
            raise lack_of_opencv()
        return decode(*arguments)

    monkeypatch.setattr(cv2, 'imdecode', lacking)
    check(imported(folder), folder)


@pytest.mark.fast
def test_damaged_bag_without_memory_loses_no_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*arguments: Any, **options: Any) -> Any:
        raise MemoryError

    path = two_arms().write(tmp_path / 'bag') / 'bag.mcap'
    path.write_bytes(path.read_bytes()[:-100])
    monkeypatch.setattr(mcap_records, 'decompress', lacking)
    with pytest.raises(MemoryError):
        mcap_salvage.read_mcap(path)


@pytest.mark.fast
def test_encoder_that_fails_names_the_size_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(frame: Any) -> None:
        raise av.error.ExternalError(542398533, 'Generic error in an external library')

    stream = SimpleNamespace(width=64, height=48, encode=lacking)
    monkeypatch.setattr('viva_ros.data.lerobot.video._stream', lambda *arguments: stream)
    with raises('image-encoder', 'images of 64 x 48 pixels', 'memory does not suffice'):
        encode(tmp_path / 'a.mp4', [np.zeros((48, 64, 3), np.uint8)], 10)


@pytest.mark.medium
def test_limit_of_memory_refuses_large_pictures_alone(tmp_path: Path) -> None:
    folder, bag = write(tmp_path), two_arms(images=False)
    picture = cv2.imencode('.jpg', np.zeros((*LARGE, 3), np.uint8))[1].reshape(-1)
    for k in range(0, 100, 5):
        add_picture(bag, 20 * MS * k + 9 * MS, picture)
    bag.write(folder / 'bags/large')
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = {Path(row['source']).name: row for row in json.loads(done.stdout.splitlines()[-1])}
    assert rows['one']['refused'] == rows['two']['refused'] == []
    assert rows['large']['codes'][0] in ('recording-memory', 'image-encoder')
    assert len(find([folder / 'out'])) == 2


def add_picture(bag: BagOfMessages, stamp: int, data: np.ndarray) -> None:
    kind = bag._types['sensor_msgs/msg/CompressedImage']
    bag._add(CAMERA, kind(bag._header(stamp), 'jpeg', data), stamp)
