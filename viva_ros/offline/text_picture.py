# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An episode as a few small pictures made of characters: enough to know it by."""

from typing import Final

import cv2
import numpy as np

from viva_ros.core.errors import InputError, RecordingError
from viva_ros.core.observation import Image
from viva_ros.data.episode import Episode

SHADES: Final = ' .:-=+*#%@'
MOMENTS: Final = (0.0, 0.33, 0.67, 1.0)  # share of the episode
ROWS, COLUMNS = 8, 19  # characters; one is about twice as high as it is wide


def strip(episode: Episode) -> str:
    """Show the first camera at some moments, side by side."""
    camera = next((c for c, frames in episode.cameras.items() if len(frames.stamps)), None)
    if camera is None:
        return 'no pictures'
    frames = episode.cameras[camera]
    at = [round(share * (len(frames.stamps) - 1)) for share in MOMENTS]
    try:
        pictures = [characters(frames.images[index]) for index in at]
    except (InputError, RecordingError) as error:
        return f'{camera} cannot be shown: {error}'
    begin = frames.stamps[0]
    heads = [f'{camera} {(frames.stamps[i] - begin) * 1e-9:.1f} s'[:COLUMNS] for i in at]
    lines = [' '.join(head.ljust(COLUMNS) for head in heads)]
    return '\n'.join(lines + [' '.join(row) for row in zip(*pictures, strict=True)])


def characters(image: Image) -> list[str]:
    """Give rows of characters, the brighter the denser; spread over what the picture has."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA).astype(np.float64)
    low, high = float(small.min()), float(small.max())
    scaled = (small - low) / max(high - low, 1.0) * (len(SHADES) - 1)
    return [''.join(SHADES[int(level)] for level in row) for row in scaled.round()]
