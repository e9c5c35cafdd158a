# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders with a video for each camera and a table of joints: row k shows the number k."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from support.lerobot_datasets import FPS, NAMES, numbered, state_of
from viva_ros.data.lerobot.video import encode

ROWS = 12


def joints(rows: int = ROWS) -> dict[str, list[float]]:
    """Return the columns of four joints; the first has the number of its row."""
    matrix = np.array([state_of(k) for k in range(rows)])
    return {name: matrix[:, k].tolist() for k, name in enumerate(NAMES)}


def write_video_folder(
    folder: Path, columns: Mapping[str, Sequence[Any]] | None = None, table: str = 'joints.csv',
    videos: Mapping[str, int] | None = None, fps: int = FPS,
) -> Path:  # fmt: skip
    """
    Write an episode.

    :param columns: of the table; None for four joints
    :param videos: file to its number of frames; None for one with a frame for each row
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = pa.table(dict(joints() if columns is None else columns))
    if table.endswith('.csv'):
        pa.csv.write_csv(content, folder / table)
    else:
        pq.write_table(content, folder / table)
    for name, frames in ({'top.mp4': ROWS} if videos is None else videos).items():
        codec = 'av1' if name.endswith(('.mp4', '.mkv')) else 'h264'  # others do not hold AV1
        encode(folder / name, map(numbered, range(frames)), fps, codec)
    return folder


def write_uneven_video(path: Path, times: Sequence[float]) -> None:
    """Write a video whose frames have these times, s."""
    with av.open(str(path), 'w') as out:
        stream: Any = out.add_stream('libx264', rate=FPS, options={'bf': '0'})
        stream.width, stream.height, stream.pix_fmt = 80, 48, 'yuv420p'
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered(number), format='rgb24')
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
