# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An evaluation as one page: it needs no network, and nothing but a browser.

``report.html`` is the page; what it shows is JSON inside it. Text from recordings is put into the
page as text alone, never as markup.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.rules import Details
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.core.observation import Array, Image
from viva_ros.data.episode import Episode
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.evaluation.results import FAILURE, MENDED, RETRY, SUCCESS, Result
from viva_ros.evaluation.tables import CHECKS, FIGURES, plain
from viva_ros.visualization.timeline import alarm_level

TEMPLATE: Final = Path(__file__).with_name('report.html')
PICTURES: Final = 9  # in a strip
WIDE: Final = 112  # px, of a picture
QUALITY: Final = 72
WORST, BEST = 6, 2
LATE: Final = 5.0  # s: as bad as a failure that is never found
GROUPS: Final = {
    SUCCESS: 'success', FAILURE: 'failure', MENDED: 'mended by itself', RETRY: 'after a retry',
}  # fmt: skip


def page(
    title: str, about: str, figures: Mapping[str, Mapping[str, Any]],
    checks: Mapping[str, Mapping[str, Any]], results: Sequence[Result],
    paths: Mapping[tuple[str, str], Path], calibrations: Mapping[str, Calibration],
) -> str:  # fmt: skip
    """
    Give the page.

    :param figures: by scope ('all tasks', or a task), then by contender, the measured one first
    :param results: of the measured one
    :param paths: of the recordings, by task and episode name, for the pictures
    :param calibrations: by task, those that it was judged by
    """
    order = sorted(range(len(results)), key=lambda row: -trouble(results[row]))
    stories = [*order[:WORST], *reversed(order[WORST:][-BEST:])]
    episodes = [_episode(one, calibrations.get(one.task)) for one in results]
    for row in stories:
        path = paths.get((results[row].task, results[row].name))
        if path is not None:
            episodes[row]['strip'] = strip(episodes_of(open_recording(path))[0])
    first = next(iter(next(iter(figures.values())).values()))
    content = {
        'title': title, 'about': about, 'figures': figures, 'rows': FIGURES, 'stories': stories,
        'episodes': episodes, 'reliability': first.get('reliability'),
        'check_heads': ['shown', *(head for head, _ in CHECKS), 'a good value'],
        'checks': [
            [name, *(row[key] for _, key in CHECKS), row['good']]
            for name, row in checks.items()
        ],
    }  # fmt: skip
    text = json.dumps(plain(content), allow_nan=False, separators=(',', ':'))
    # Inside of a script nothing may look like its end.
    text = text.replace('<', '\\u003c').replace('\u2028', '\\u2028').replace('\u2029', '\\u2029')
    return TEMPLATE.read_text(encoding='utf-8').replace('__DATA__', text)


def trouble(one: Result) -> float:
    """
    Say how badly an episode was judged: 0 is well, 1 a failure found late, 2 what must not be.

    A failure counts by its delay, a success by the order of its values, or 2 for a false alarm.
    """
    if one.group == FAILURE:
        if one.trial.detection is None:
            return 2.0
        return min(max(one.trial.delay or 0.0, 0.0) / LATE, 1.0)
    disorder = 1.0 - one.true_order if math.isfinite(one.true_order) else 1.0
    return 2.0 if one.group == SUCCESS and one.alarms else min(disorder, 1.0)


def _episode(one: Result, calibration: Calibration | None) -> dict[str, Any]:
    found = one.trial
    return {
        'name': one.name, 'task': one.task, 'mode': one.mode, 'group': GROUPS[one.group],
        'outcome': 'success' if one.success else 'failure', 'duration': one.duration,
        'final': one.final, 'true_order': one.true_order, 'alarms': one.alarms,
        'first_alarm': one.alarms[0] if one.alarms else None, 'manifest': one.manifest,
        'delay': found.delay, 'trouble': trouble(one), 'told': _told(one),
        'times': _rounded(one.times), 'value': _rounded(one.values),
        'progress': _rounded(one.progress) if np.isfinite(one.progress).any() else None,
        'probability': None if one.probability is None else _rounded(one.probability),
        'limit': None if calibration is None else _rounded(alarm_limits(one, calibration)),
        'marks': [(mark.kind, mark.time) for mark in one.marks],
    }  # fmt: skip


def alarm_limits(one: Result, calibration: Calibration) -> Array:
    """Give the smoothed value below which an alarm would be due, (N,); NaN where none can be."""
    judge = Detector(DetectorSettings(rules=calibration.rules), calibration.thresholds)
    limits = []
    likely = np.full(len(one.times), math.nan) if one.probability is None else one.probability
    for at, value, success in zip(one.times, one.values, likely, strict=True):
        judge.update(round(at * 1e9), float(value), details=Details(float(success)))
        known = math.isfinite(value)
        limits.append(alarm_level(judge, calibration) if known else math.nan)
    return np.array(limits, dtype=np.float64)


def _rounded(numbers: Any) -> list[float]:
    return [round(float(x), 3) for x in numbers]


def _told(one: Result) -> str:
    """Say in a sentence how it was judged."""
    if one.group == FAILURE:
        if one.trial.detection is None:
            return 'A failure that was not found.'
        if one.trial.delay is None:
            return f'A failure, found at {one.trial.detection:.1f} s.'
        return f'A failure, found {one.trial.delay:+.1f} s from its physical evidence.'
    ended = 'ended well' if one.success else 'failed'
    quiet = f'alarm at {one.alarms[0]:.1f} s' if one.alarms else 'no alarm'
    if one.group == SUCCESS:
        return f'An undisturbed success: {"a false " + quiet if one.alarms else quiet}.'
    return f'{GROUPS[one.group].capitalize()}, {ended}: {quiet}.'


def strip(episode: Episode) -> dict[str, Any]:
    """Give small pictures of all cameras at even times; text for the page's images."""
    tracks = {name: track for name, track in episode.cameras.items() if track.stamps.size}
    begin = min(int(track.stamps[0]) for track in tracks.values())
    end = max(int(track.stamps[-1]) for track in tracks.values())
    wanted = np.linspace(begin, end, PICTURES).astype(np.int64)
    cameras = {}
    for name, track in tracks.items():
        rows = np.clip(np.searchsorted(track.stamps, wanted, side='right') - 1, 0, None)
        cameras[name] = [_data_address(track.images[int(row)]) for row in rows]
    return {'times': [round(float(at - begin) * 1e-9, 2) for at in wanted], 'cameras': cameras}


def _data_address(image: Image) -> str:
    """Give a picture as an address that holds it."""
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (WIDE, max(1, round(WIDE * height / width))), interpolation=cv2.INTER_AREA
    )
    done, jpeg = cv2.imencode('.jpg', small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError(f'a picture of shape {image.shape} cannot be encoded')
    return 'data:image/jpeg;base64,' + base64.b64encode(jpeg.tobytes()).decode()
