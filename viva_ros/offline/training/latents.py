# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Latents of all views, encoded once: a run that goes on finds them on disk."""

import os

import numpy as np
from numpy.typing import NDArray

from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.viva import ViVa
from viva_ros.training import losses as stages
from viva_ros.training.cache import Data
from viva_ros.training.config import Run
from viva_ros.training.distributed import Workers


def stored_latents(
    run: Run, model: ViVa | EarlyExit, data: Data, part: str
) -> NDArray[np.float16]:  # fmt: skip
    """
    Give the raw latents of all views, (N, V, C, H, W), on disk.

    :param part: of the recordings, 'train' or 'validation'
    """
    path, workers = run.out / f'latents_{part}.npy', Workers(run.hardware)
    with workers.first_goes_ahead():
        if workers.is_first and not path.is_file():
            viva = model.viva if isinstance(model, EarlyExit) else model
            raw = stages.encode_all(viva, data)
            temporary = path.with_suffix('.part.npy')
            with temporary.open('wb') as file:
                np.save(file, raw)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    return np.load(path, mmap_mode='r')
