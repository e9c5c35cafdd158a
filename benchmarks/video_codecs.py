# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare the codecs of datasets: size, PSNR, and CPU time to encode, to read in order and at random.

usage: python -m benchmarks.video_codecs

The pictures, 640 x 480, are a textured table with moving arms and the noise of a camera.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from viva_ros.core.observation import Image
from viva_ros.data.lerobot.video import ENCODERS, VideoImages, encode

HEIGHT, WIDTH, COUNT, FPS = 480, 640, 150, 30
NOISE = 2.0  # standard deviation, of 255
READS = 80


def pictures() -> list[Image]:
    """Return COUNT pictures, the same for each call."""
    rng, shape = np.random.default_rng(0), (HEIGHT, WIDTH, 1)
    texture = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), 2)[..., None]
    coarse = rng.integers(60, 200, (6, 8, 3)).astype(np.float32)
    colours = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    grey = colours.mean(2, keepdims=True)
    table = np.clip(grey + 0.3 * (colours - grey) + texture / texture.std() * 14, 0, 255)
    found = []
    for k in range(COUNT):
        image, seconds = table.copy(), k / FPS
        for arm in range(3):
            x = int(WIDTH / 2 + 200 * np.sin(seconds * 1.1 + arm * 2))
            y = int(HEIGHT / 2 + 140 * np.cos(seconds * 0.9 + arm))
            colour = (80 + 30 * arm, 90, 120 - 20 * arm)
            cv2.line(image, (WIDTH // 2 + 100 * (arm - 1), 0), (x, y), colour, 26, cv2.LINE_AA)
        image += rng.normal(0, NOISE, shape) + rng.normal(0, NOISE / 2, image.shape)
        found.append(np.clip(image, 0, 255).astype(np.uint8))
    return found


def compare(codec: str, images: Sequence[Image], folder: Path) -> str:
    """Return a row of the table."""
    path, began = folder / f'{codec}.mp4', time.process_time()
    encode(path, images, FPS, codec)
    encoded = time.process_time() - began
    began, errors = time.process_time(), []
    for image, read in zip(images, VideoImages(path, range(COUNT)), strict=True):
        errors.append(float(np.mean((read.astype(np.float32) - image) ** 2)))
    plain = time.process_time() - began
    video, began = VideoImages(path, range(COUNT)), time.process_time()
    for at in np.random.default_rng(1).integers(0, COUNT, READS).tolist():
        video[at]
    random = time.process_time() - began
    ms, decibel = 1e3, 10 * np.log10(255**2 / np.mean(errors))
    return (
        f'| {codec} | {path.stat().st_size / COUNT / 1024:.1f} | {decibel:.2f} '
        f'| {ms * encoded / COUNT:.1f} | {ms * plain / COUNT:.1f} | {ms * random / READS:.1f} |'
    )


def main() -> None:
    """Print the table."""
    images = pictures()
    print('| codec | KiB a picture | PSNR, dB | encode, ms | read in order, ms | at random, ms |')
    print('|---|---|---|---|---|---|')
    with tempfile.TemporaryDirectory() as folder:
        for codec in ENCODERS:
            print(compare(codec, images, Path(folder)), flush=True)


if __name__ == '__main__':
    main()
