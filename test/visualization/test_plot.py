# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
import resource
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from support.errors import raises
from support.recordings import RISING, write_recording

from viva_ros.cli.main import main as viva
from viva_ros.cli.plot import main
from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration, Threshold
from viva_ros.core.events import Event, Level
from viva_ros.data.open import open_recording
from viva_ros.data.recorded_messages import TruthMessage
from viva_ros.data.segmentation import episodes_of
from viva_ros.visualization.plot import (
    LANES,
    TEXT,
    Lanes,
    broken,
    draw_events,
    picture_times,
    pictures,
    plot,
)
from viva_ros.visualization.timeline import (
    PlotContent,
    alarm_level,
    attempts,
    evidence_stamps,
    plot_content,
    title,
)

EPOCH, STEP = 1_000_000_000_000, 100_000_000  # ns


def calibration(**alarms: float) -> Calibration:
    rules = RuleSettings(smoothing=0.0, debounce=0.0)
    thresholds = {kind: Threshold(alarm, alarm) for kind, alarm in alarms.items()}
    return Calibration(
        'e', 'tray_lift', 60, 0.1, 0.3, 59, (0.9, 0.99), rules, 10.0, thresholds, ''
    )


@pytest.mark.parametrize(
    ('alarms', 'expected'),
    [
        ({'drop': 0.3}, 0.6 - 0.3),  # below the maximum of the last 4 s
        ({'floor': 0.7}, -0.7),
        ({'no_rise': -0.1}, 0.2 + 0.1),  # 4 s ago it was 0.2, and 0.1 more is expected
        ({'drop': 0.3, 'floor': 0.7}, 0.3),  # the higher level
    ],
)
def test_alarm_level_is_that_of_the_first_rule_to_alarm(alarms, expected: float) -> None:
    detector = Detector(DetectorSettings(rules=calibration(**alarms).rules), {})
    for number, value in enumerate([0.2, 0.6, 0.5, 0.5, 0.5]):
        detector.update(EPOCH + 10 * number * STEP, value)
    assert alarm_level(detector, calibration(**alarms)) == pytest.approx(expected)


def test_alarm_level_is_nan_until_windows_are_full() -> None:
    detector = Detector(DetectorSettings(rules=calibration().rules), {})
    detector.update(EPOCH, 0.5)
    assert math.isnan(alarm_level(detector, calibration(no_rise=0.1, floor=0.2)))


def test_plot_time_starts_at_the_first_frame(tmp_path: Path) -> None:
    path = write_recording(
        tmp_path / 'r.mcap', [0.1, 0.2, 0.3, 0.4], {1: 0.2, 2: math.nan, 3: 0.4}
    )
    content = plot_content(open_recording(path))
    np.testing.assert_allclose(content.times, [0.1, 0.2, 0.3])
    assert content.unknown == [(pytest.approx(0.2), pytest.approx(0.3))]
    assert content.end == pytest.approx(0.3)


def test_lines_are_broken_at_gaps() -> None:
    times, numbers = broken(np.array([0.0, 0.5, 3.0]), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(times, [0.0, 0.5, np.nan, 3.0])
    np.testing.assert_array_equal(numbers, [1.0, 2.0, np.nan, 3.0])


def test_lines_are_broken_at_the_start_of_an_episode() -> None:
    times, numbers = broken(np.array([0.0, 0.5, 1.0]), np.array([1.0, 2.0, 3.0]), [0.5])
    np.testing.assert_array_equal(times, [0.0, np.nan, 0.5, 1.0])
    np.testing.assert_array_equal(numbers, [1.0, np.nan, 2.0, 3.0])


def test_overlapping_texts_are_placed_in_separate_lanes() -> None:
    lanes = Lanes()
    assert [lanes.place(0.0, 2.0), lanes.place(1.0, 3.0), lanes.place(2.0, 4.0)] == [
        LANES[0], LANES[1], LANES[0],
    ]  # fmt: skip


def test_text_is_left_out_if_all_lanes_are_full() -> None:
    lanes = Lanes()
    assert None not in [lanes.place(0.0, 1.0) for _ in LANES]
    assert lanes.place(0.5, 1.5) is None
    assert lanes.place(1.0, 2.0) == LANES[0]


def drawn(events: list[Event]) -> tuple[list[tuple[str, Bbox]], list[str]]:
    """Draw events of a minute; return the texts with their boxes, and the legend entries."""
    mpl.rcParams['font.size'] = TEXT
    figure = Figure(figsize=(15, 5))
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlim=(0.0, 60.0), ylim=(-1.1, 1.1))
    none = np.empty(0)
    draw_events(axes, PlotContent(0, 60.0, none, none, none, none, [], events, [], [], []))
    canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in axes.texts]
    return boxes, axes.get_legend_handles_labels()[1]


def happened(at: float, kind: str, level: Level = Level.OK) -> Event:
    stamp = round(at * 1e9)
    return Event(level, kind, stamp, stamp, 0.1, 0.5, 0.4, 'e', '')


def test_event_texts_do_not_overlap_and_the_rest_is_in_legend() -> None:
    events = []
    for at in (5.0, 20.0, 21.0, 57.0):
        events += [
            happened(at, 'drop', Level.ALARM), happened(at + 0.1, 'retry_accepted'),
            happened(at + 0.6, 'retry_rejected'),
        ]  # fmt: skip
    boxes, legend = drawn(events)
    assert not [(a, b) for (a, one), (b, two) in combinations(boxes, 2) if one.overlaps(two)]
    # Six events lie within 1.6 s, and there are five lanes: the sixth is a mark in the legend.
    assert len(boxes) == 11 and legend == ['retry rejected']


def moment(at: float, **facts: object) -> TruthMessage:
    defaults = {
        'episode': 'e', 'task': 'tray_lift', 'seed': 1, 'failure': 'slip', 'phase': 'lift',
        'attempt': 1, 'progress': 0.0, 'success': False, 'failed': False, 'done': False,
        'inject': math.nan, 'visible': math.nan, 'manifest': math.nan,
    }  # fmt: skip
    return TruthMessage(stamp=EPOCH + round(at * 1e9), time=at, **(defaults | facts))


def test_each_failed_attempt_has_its_own_evidence() -> None:
    run = [moment(0.1), moment(0.2, failed=True, manifest=0.15)]
    run += [moment(0.3, failed=True, manifest=0.15), moment(1.0, attempt=2, manifest=0.15)]
    run += [moment(2.0, attempt=2, failed=True, manifest=0.15)]
    run += [moment(2.1, attempt=2, failed=True, manifest=0.15)]
    assert [(at - EPOCH) * 1e-9 for at in evidence_stamps(run)] == pytest.approx([0.15, 2.0])


def test_attempts_and_motions_back_alternate() -> None:
    run = [moment(0.0), moment(1.0), moment(1.1, attempt=2, phase='open')]
    run += [moment(2.0, attempt=2, phase='home'), moment(3.0, attempt=2)]
    found = [(s.name, (s.begin - EPOCH) * 1e-9, (s.end - EPOCH) * 1e-9) for s in attempts(run)]
    assert found == [
        ('attempt 1', 0.0, 1.0), ('goes back', 1.1, 2.0), ('attempt 2', 2.0, 3.0),
    ]  # fmt: skip


def test_robot_waits_before_its_start() -> None:
    waiting = [moment(0.0), replace(moment(0.1), time=0.0)]
    assert [span.name for span in attempts(waiting)] == ['waits']


def content_with(alarms: list[float], write, tmp_path: Path):
    content = plot_content(open_recording(write(tmp_path / 'r.mcap', [0.0] * 81)))
    for at in alarms:
        stamp = EPOCH + round(at * 1e9)
        content.events.append(Event(Level.ALARM, 'drop', stamp, stamp, 0.0, 0.0, 0.0, '', ''))
    return content


def test_images_are_at_equidistant_times_and_at_alarms(tmp_path: Path) -> None:
    content = content_with([2.6, 2.7], write_recording, tmp_path)
    assert picture_times(content, 5) == [
        (0.0, ''), (pytest.approx(2.6), 'ALARM'), (pytest.approx(2.7), 'ALARM'), (6.0, ''),
        (8.0, ''),
    ]  # fmt: skip


def test_number_of_images_is_limited(tmp_path: Path) -> None:
    content = content_with([1.0, 2.0, 3.0, 4.0, 5.0], write_recording, tmp_path)
    assert len(picture_times(content, 4)) == 4


def test_image_is_the_last_at_or_before_the_time(tmp_path: Path) -> None:
    recording = open_recording(write_recording(tmp_path / 'r.mcap', [0.0] * 3))
    frames = episodes_of(recording)[0].cameras['head'].images
    shown = pictures(recording, [EPOCH - 1, EPOCH + STEP, EPOCH + 2 * STEP - 1, EPOCH + 9 * STEP])
    for image, expected in zip(shown, (0, 1, 1, 2), strict=True):
        np.testing.assert_array_equal(image, frames[expected])


def test_title_names_alarms_and_operator(tmp_path: Path) -> None:
    assert (
        title(plot_content(open_recording(write_recording(tmp_path / 'a.mcap', [0.0]))))
        == 'no values recorded'
    )
    recorded = plot_content(
        open_recording(write_recording(tmp_path / 'b.mcap', [0.0, 0.1], {1: 0.1}))
    )
    assert title(recorded) == 'no alarm'
    called = Event(
        Level.NEEDS_OPERATOR, 'retry_budget_exhausted', EPOCH, EPOCH, 0.0, 0.0, 0.0, '', ''
    )
    recorded.events.append(called)
    assert title(recorded) == 'no alarm  |  the operator is called'


def test_title_has_no_failure_of_a_robot_that_waits(tmp_path: Path) -> None:
    content = plot_content(open_recording(write_recording(tmp_path / 'a.mcap', [0.0])))
    waits = moment(0.0, failure='slip', task='tray_lift')
    works = moment(0.1, failure='none', task='tray_lift')
    found = title(replace(content, moments=[waits, works]))
    assert found.startswith('tray_lift: nothing injected  |  ')
    later = moment(0.1, failure='nudge', task='tray_lift')
    assert title(replace(content, moments=[waits, later])).startswith(
        'tray_lift: nudge injected  |'
    )


def test_recording_without_values_is_drawn(tmp_path: Path) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.0] * 20)
    assert main([str(path)]) == 0
    assert cv2.imread(str(tmp_path / 'r.png')).shape == (860, 1500, 3)


def test_full_disk_error_names_the_plot(tmp_path: Path, capsys) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.0] * 20)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # as a full disk does
    try:
        assert viva(['plot', str(path)]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = capsys.readouterr().err
    assert str(tmp_path / 'r.png') in said and 'free disk space' in said
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_recording_is_drawn_and_its_loss_reported(tmp_path: Path, capsys) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.0] * 300)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    assert main([str(path)]) == 0
    assert 'r.mcap is damaged: ' in capsys.readouterr().err
    assert cv2.imread(str(tmp_path / 'r.png')) is not None


@pytest.mark.medium
def test_engine_estimates_values_if_none_were_recorded(
    tmp_path: Path, worth_engine_folder
) -> None:
    path = write_recording(tmp_path / 'r.mcap', RISING)
    plot(path, tmp_path / 'without.png')
    plot(path, tmp_path / 'with.png', str(worth_engine_folder))
    without, scored = (cv2.imread(str(tmp_path / f'{n}.png')) for n in ('without', 'with'))
    assert (without[100:450] != scored[100:450]).any()


def test_recording_without_content_is_refused(tmp_path: Path) -> None:
    from viva_ros.data.bag.writer import RecordingWriter
    from viva_ros.data.messages import make

    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        text = make('std_msgs/msg/String', data='one')
        writer.write('/episode', 'std_msgs/msg/String', text, 5)
    with raises('plot-empty', 'r.mcap'):
        plot(tmp_path / 'r.mcap', tmp_path / 'r.png')
