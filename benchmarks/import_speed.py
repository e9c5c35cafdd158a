#!/usr/bin/env python3
# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure `viva import`: GB of JPEG bags a minute with 1 and 2 processes, and the peak memory.

Each bag is one episode of several cameras at 30 Hz, 640 x 480, JPEG of quality 90, with two arms
at 100 Hz. The pictures have texture of all scales that moves, and the noise of a sensor: a JPEG
has about 176 kB. All frames are decoded and encoded. The bags are in the page cache. On a busy
machine only the GB for each minute of processor time mean something.

    python -m benchmarks.import_speed --out benchmarks/results/import.json
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import psutil
from mcap.writer import CompressionType, Writer

from viva_ros.console.provenance import command_line, processor, versions
from viva_ros.core.child_process import python_child
from viva_ros.core.files import write_atomically
from viva_ros.core.observation import SECOND, Image
from viva_ros.data.messages import joint_state, jpeg_image, schema, serialise

HEIGHT, WIDTH, MARGIN = 480, 640, 64
FPS, JOINT_RATE = 30, 100  # Hz
QUALITY: Final = 90
NOISE: Final = 3.0  # levels
CAMERAS: Final = ('top', 'left_wrist', 'right_wrist')
JOINTS: Final = tuple(f'{side}_joint_{n}' for side in ('left', 'right') for n in range(1, 8))
EPOCH: Final = 1_760_000_000 * SECOND
GB: Final = 1e9


def texture(rng: np.random.Generator) -> Image:
    """Return a picture with texture of all scales, as natural ones have (amplitude 1 / f)."""
    size = (HEIGHT + MARGIN, WIDTH + MARGIN)
    fy, fx = np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None, :]
    fall = 1.0 / np.maximum(np.hypot(fy, fx), 1.0 / size[1])
    planes = [np.fft.ifft2(np.fft.fft2(rng.standard_normal(size)) * fall).real for _ in range(3)]
    grey = planes[0]
    mixed = np.stack([0.8 * grey + 0.2 * plane for plane in planes], axis=-1)
    return np.clip(128 + 48 * mixed / mixed.std(), 0, 255).astype(np.uint8)


def pictures(count: int, seed: int) -> list[bytes]:
    """Return JPEG files of a view that moves, each with its own noise."""
    rng = np.random.default_rng(seed)
    scene, found = texture(rng).astype(np.float32), []
    for k in range(count):
        angle = 2.0 * np.pi * k / count
        x, y = (int(MARGIN / 2 * (1 + part)) for part in (np.sin(angle), np.cos(angle)))
        view = scene[y : y + HEIGHT, x : x + WIDTH]
        noisy = view + NOISE * rng.standard_normal(view.shape, dtype=np.float32)
        image = np.clip(noisy, 0, 255).astype(np.uint8)
        found.append(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
    return found


def write_bag(path: Path, seconds: float, seed: int) -> None:
    """Write one episode as rosbag2 writes it: chunks without compression."""
    views = {camera: pictures(60, 100 * seed + n) for n, camera in enumerate(CAMERAS)}
    with path.open('wb') as file:
        writer = Writer(file, chunk_size=786432, compression=CompressionType.NONE)
        writer.start(profile='ros2', library='benchmark')
        topics: dict[str, int] = {}

        def add(topic: str, kind: str, stamp: int, message: Any) -> None:
            if topic not in topics:
                number = writer.register_schema(kind, 'ros2msg', schema(kind).encode())
                topics[topic] = writer.register_channel(topic, 'cdr', number)
            writer.add_message(topics[topic], stamp, serialise(kind, message), stamp)

        for k in range(int(seconds * JOINT_RATE) + 1):
            stamp = EPOCH + k * SECOND // JOINT_RATE
            positions = np.sin(k / JOINT_RATE + np.arange(len(JOINTS), dtype=np.float64))
            add('/joint_states', 'sensor_msgs/msg/JointState', stamp,
                joint_state(stamp, JOINTS, positions))  # fmt: skip
            frame = k * FPS // JOINT_RATE
            if frame == (k - 1) * FPS // JOINT_RATE and k:
                continue
            for camera, files in views.items():
                content = files[frame % len(files)]
                add(f'/{camera}/image_raw/compressed', 'sensor_msgs/msg/CompressedImage', stamp,
                    jpeg_image(stamp, camera, content))  # fmt: skip
        writer.finish()


class PeakMemory(threading.Thread):
    """Peak memory of a process and of its children: the largest of one, and of their sum, MB."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(process)
        self.one, self.total = 0.0, 0.0

    def run(self) -> None:
        """Sample until the process ends."""
        while True:
            try:
                family = [self._root, *self._root.children(recursive=True)]
                sizes = [one.memory_info().rss / 1e6 for one in family]
            except psutil.NoSuchProcess:
                if not self._root.is_running():
                    return
                continue
            self.one, self.total = max(self.one, *sizes), max(self.total, sum(sizes))
            time.sleep(0.02)


def measure(bags: Path, out: Path, processes: int) -> dict[str, Any]:
    """Import a folder of bags; return the figures."""
    command = ('import', bags, '--rate', FPS, '--task', 'fold', '--success', '--out', out)
    load, began, used = os.getloadavg()[0], time.perf_counter(), _cpu()
    with subprocess.Popen(
        **python_child('viva_ros.cli.main', *command, '--processes', processes),
        stdout=subprocess.DEVNULL,
    ) as process:
        memory = PeakMemory(process.pid)
        memory.start()
        if process.wait():
            raise SystemExit(f'the import failed with exit code {process.returncode}')
    seconds, cpu = time.perf_counter() - began, _cpu() - used
    size = sum(path.stat().st_size for path in bags.iterdir())
    written = sum(path.stat().st_size for path in out.rglob('*.mp4'))
    return {
        'processes': processes, 'seconds': round(seconds, 2), 'cpu_seconds': round(cpu, 2),
        'gb_per_minute': round(size / GB / seconds * 60, 3),
        'gb_per_cpu_minute': round(size / GB / cpu * 60, 3),
        'peak_mb_one': round(memory.one), 'peak_mb_all': round(memory.total),
        'load': round(load, 2), 'video_mb': round(written / 1e6, 1),
    }  # fmt: skip


def _cpu() -> float:
    """Return the processor time of ended children, s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser('benchmarks.import_speed', description=__doc__)
    parser.add_argument('--out', type=Path, help='JSON file of the result')
    parser.add_argument('--bags', type=int, default=4, help='Episodes (default: %(default)s)')
    parser.add_argument(
        '--seconds', type=float, default=20.0, help='Length of each, s (default: %(default)s)'
    )
    parser.add_argument('--processes', type=int, nargs='+', default=[1, 2], help='Default: 1 2')
    parser.add_argument('--folder', type=Path, help='Of temporary files')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        bags = Path(temporary) / 'bags'
        bags.mkdir()
        for n in range(args.bags):
            write_bag(bags / f'episode_{n}.mcap', args.seconds, n)
        size = sum(path.stat().st_size for path in bags.iterdir())
        images = args.bags * len(CAMERAS) * int(args.seconds * FPS)
        rows = []
        for count in args.processes:
            rows.append(measure(bags, Path(temporary) / f'set_{count}', count))
            print(json.dumps(rows[-1]), flush=True)
    result = {
        'command': command_line('benchmarks/import_speed.py'), 'cpus': os.cpu_count(),
        'processor': processor(), 'versions': versions(('av', 'opencv-python-headless', 'numpy')),
        'bag_mb': round(size / 1e6, 1), 'bags': args.bags,
        'cameras': len(CAMERAS), 'kb_per_image': round(size / images / 1e3, 1), 'runs': rows,
    }  # fmt: skip
    if args.out:
        write_atomically(args.out, json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    main()
