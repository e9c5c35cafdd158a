# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Crashes of readers that are found and not mended yet: target, signature, reason.

Each has an input in corpus/TARGET/. A line that no longer occurs is deleted; its input stays.
"""

from collections.abc import Mapping
from typing import Final

DEEP: Final = 'JSON that is nested too deeply'
KNOWN: Final[Mapping[str, Mapping[str, str]]] = {
    'calibration': {
        'OverflowError in core.detection.thresholds._expected': 'an integer of 400 digits',
        'AttributeError in core.detection.thresholds._expected':
            'a list or text in the place of an object',
        'AttributeError in core.detection.thresholds.parse':
            'a list or text in the place of an object',
        'OverflowError in core.detection.thresholds.parse':
            'an integer of 400 digits, or an infinite one',
        'OverflowError in core.settings.admits': 'an integer of 400 digits',
        'RecursionError in core.detection.thresholds.load': DEEP,
    },
    'engine_json': {
        'AttributeError in engine.manifest.check_fingerprint': 'a provenance that is no object',
        'OverflowError in engine.manifest._parse': 'an infinite integer',
        'RecursionError in engine.manifest.read_manifest': DEEP,
        'TypeError in engine.manifest.<genexpr>': 'a tuple of no numbers',
    },
    'folder_csv': {
        'UnicodeDecodeError in data.video_folder.read_rows': 'column names that are not UTF-8',
    },
    'folder_video': {
        'AttributeError in data.video_folder._is_grey_depth': 'a video without a decoder',
        'SIGSEGV in data.video_folder._is_grey_depth':
            'PyAV reads the format of a video without a pixel format',
        'UnicodeDecodeError in data.video_folder._is_grey_depth':
            'metadata of an MP4 that are not UTF-8',
    },
    'greeting': {
        'RecursionError in engine.remote.protocol.from_greeting': DEEP,
    },
    'labels_json': {
        'RecursionError in data.episode.load': DEEP,
    },
    'lerobot_info': {
        'OverflowError in data.lerobot.metadata._path': 'an infinite chunks_size',
        'RecursionError in data.lerobot.metadata._open': DEEP,
    },
    'lerobot_v2_info': {
        'OverflowError in data.lerobot.metadata._open': 'an infinite rate',
        'RecursionError in data.lerobot.metadata._open': DEEP,
    },
    'live_CompressedImage': {
        'memory in live_CompressedImage': 'the size in the header of an image is believed',
    },
    'memory': {
        'OverflowError in core.supervision_memory._read_episode': 'an infinite integer',
        'OverflowError in core.supervision_memory.<listcomp>': 'an integer of 400 digits',
        'OverflowError in core.supervision_memory._read_event': 'an infinite stamp',
        'RecursionError in core.supervision_memory.recall': DEEP,
    },
    'model_json': {
        'RecursionError in engine.manifest._read_json': DEEP,
    },
    'recorded_Alert': {
        'ValueError in data.recorded_messages.<listcomp>':
            'a level of an alert that does not exist',
    },
    'scores': {
        'ValueError in scoring.store._stamps': 'columns of other types',
        'IndexError in scoring.store.per_frame': 'columns of other types',
        'ArrowInvalid in scoring.store.<genexpr>': 'columns of other types',
        'ArrowTypeError in scoring.store.<genexpr>': 'columns of other types',
        'ArrowTypeError in scoring.store.episodes': 'columns of other types',
        'IndexError in scoring.store._stamps': 'columns of other types',
    },
    'sqlite3': {
        'TypeError in data.bag.salvage._index': 'timestamps of messages that are no integers',
    },
    'png': {
        'memory in png': 'the length of a chunk is believed',
    },
}  # fmt: skip
