# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The 27 faults: what is expected, the tests that show it, and the time allowed for noticing.

Run as a program it runs these tests and writes what was seen:
``python test/faults/table.py --out benchmarks/results/faults.json`` (and .md beside it).
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Seen = dict[str, list[tuple[str, dict[str, float]]]]  # outcome and properties of each case


@dataclass(frozen=True)
class Row:
    """
    One fault.

    :param tests: file::test, under test/; with [..] all of its cases are meant
    :param limit: most time to notice it, s; None where there is no such promise
    :param measure: property of the tests that is this time
    """

    number: int
    fault: str
    expected: str
    tests: tuple[str, ...]
    limit: float | None = None
    measure: str = 'detection_s'


CAMERAS = 'faults/test_cameras.py::'
STAMPS = 'faults/test_joints_and_stamps.py::'
ENGINES = 'faults/test_engines.py::'
SUPERVISORS = 'faults/test_supervisors.py::'
MONITOR = 'nodes/test_monitor.py::'

ROWS = (
    Row(1, 'a camera stops', 'stale within 2 periods (5 Hz), unknown, comes back by itself',
        (CAMERAS + 'test_a_camera_whose_process_is_stopped_or_killed_is_stale_and_comes_back',
         MONITOR + 'test_killed_camera_is_unknown_until_it_returns'), 0.4),
    Row(2, 'a camera never starts', 'error that names the topic, and what publishes instead',
        ('nodes/test_configure_errors.py::'
         'test_unpublished_camera_error_lists_published_ones',)),
    Row(3, 'incompatible QoS', 'error that names topic and policy',
        ('nodes/test_supervisor.py::'
         'test_best_effort_value_error_names_topic_and_policy',)),
    Row(4, 'frozen picture while joints move', 'warning, unknown',
        (CAMERAS + 'test_a_picture_that_cannot_be_what_a_camera_sees_is_unknown',
         'core/test_image_checks.py::test_same_bytes_with_moving_joint_mean_frozen_camera')),
    Row(5, 'black, saturated or covered camera', 'warning, unknown',
        (CAMERAS + 'test_a_picture_that_cannot_be_what_a_camera_sees_is_unknown',)),
    Row(6, 'wrong size, encoding, step, truncated data, bad JPEG',
        'one throttled message, frame dropped, node lives',
        (CAMERAS + 'test_a_message_that_is_no_picture_is_dropped_and_named',
         'engine/test_image_decoding_jpeg.py::test_damaged_jpeg_gives_image_or_input_error',
         'faults/test_fuzz.py::test_pictures_of_any_fields')),
    Row(7, 'joints: not finite, missing, more, in another order',
        'by name; unknown where one is missing or not finite',
        (STAMPS + 'test_joints_that_are_missing_or_no_numbers_are_unknown',
         STAMPS + 'test_joints_in_another_order_and_some_more_change_nothing',
         'faults/test_fuzz.py::test_joints_of_any_names_and_numbers')),
    Row(8, 'cameras further apart in time than the slop', 'unknown, skew in diagnostics',
        (CAMERAS +
         'test_a_camera_that_lags_behind_the_others_is_unknown_with_the_measured_skew',)),
    Row(9, 'zero or future stamps', 'warning; receive time if configured, else unknown',
        (STAMPS + 'test_stamps_of_the_future_are_unknown',
         STAMPS + 'test_a_camera_that_ceases_to_stamp_is_stale_and_its_driver_is_named',
         STAMPS + 'test_the_time_of_receipt_is_taken_where_that_is_configured')),
    Row(10, 'time jumps back', 'everything is reset, values again',
        (MONITOR + 'test_simulated_time_jumps_back_and_stops',
         'core/test_inputs.py::'
         'test_time_jump_back_empties_all_buffers_once')),
    Row(11, '/clock stops', 'paused, not a fault',
        (MONITOR + 'test_simulated_time_jumps_back_and_stops',)),
    Row(12, 'inference slower than its period', 'newest first, no queue, rate and latency told',
        (ENGINES + 'test_a_slow_engine_skips_to_the_newest_and_is_ended_in_its_midst',)),
    Row(13, 'inference hangs', 'error and liveliness lost within 2 s, killed, started again',
        (ENGINES +
         'test_an_engine_that_hangs_is_killed_and_started_again_and_its_monitor_says_so',), 2.0),
    Row(14, 'device out of memory or broken', 'one more try, then exit code 1; never to the CPU',
        (ENGINES + 'test_a_device_that_fails_twice_ends_the_process_with_an_error',
         'engine/test_worker.py::'
         'test_second_device_error_raises_device_error')),
    Row(15, 'engine missing, changed, writable by all', 'refused with reason and remedy',
        (ENGINES +
         'test_an_engine_that_was_tampered_with_is_refused_with_the_reason_and_the_remedy',)),
    Row(16, 'monitor dies', 'unknown within 1 s, no retry of silence, started again',
        ('workflow/test_end_to_end.py::'
         'test_the_supervisor_outlives_the_monitor_and_asks_for_nothing_because_of_silence',
         SUPERVISORS +
         'test_a_monitor_that_is_killed_is_started_again_whatever_it_left_in_shared_memory'),
        1.0, 'silence_s'),
    Row(17, 'supervisor dies in its cool-down', 'no burst of retries; those of the hour count on',
        (SUPERVISORS +
         'test_a_supervisor_that_is_killed_in_its_cool_down_makes_no_burst_of_retries',
         SUPERVISORS +
         'test_a_supervisor_that_is_started_again_counts_the_retries_of_the_one_before_it')),
    Row(18, 'retry server missing, slow, refuses', 'time-out, back-off, a person is called',
        (SUPERVISORS +
         'test_a_robot_that_does_not_answer_costs_the_time_out_and_then_a_person_is_called',
         'nodes/test_supervisor.py::test_missing_retry_service_counts_as_refusal',
         'nodes/test_supervisor.py::'
         'test_refused_retries_spend_budget_until_acknowledged')),
    Row(19, 'flapping value, two monitors, alert of an earlier run',
        'one alarm per cool-down, named, session told apart',
        (SUPERVISORS +
         'test_two_monitors_that_contradict_each_other_alarm_once_and_are_named',
         'core/detection/test_detector_properties.py::'
         'test_flapping_value_alarms_once_per_cool_down_at_most',
         SUPERVISORS +
         'test_a_supervisor_that_is_killed_in_its_cool_down_makes_no_burst_of_retries')),
    Row(20, 'two supervisors', 'the younger is passive and says so',
        ('nodes/test_supervisor.py::test_younger_of_two_supervisors_requests_nothing',)),
    Row(21, 'nonsense parameters at run time', 'refused with a reason, the old value stays',
        ('nodes/test_configure_errors.py::test_rejected_parameter_keeps_old_value',)),
    Row(22, 'remains in shared memory after SIGKILL', 'starts all the same; doctor finds them',
        (SUPERVISORS +
         'test_a_monitor_that_is_killed_is_started_again_whatever_it_left_in_shared_memory',
         'doctor/test_checks.py::'
         'test_segment_of_a_killed_node_is_found')),
    Row(23, 'truncated recording', 'reads what is there, reports the loss',
        ('data/test_recording.py::test_truncated_file_is_read_and_reports_the_loss',
         'data/conversion/test_convert.py::'
         'test_truncated_bag_is_imported_only_above_min_readable')),
    Row(24, 'killed or disk full while writing', 'no half file; goes on',
        ('data/bag/test_writer.py::'
         'test_killed_writer_leaves_a_readable_part_file',
         'core/test_files.py::test_full_disk_keeps_old_file_and_no_temporary_file',
         'data/conversion/test_convert_resume.py::test_full_disk_error_names_folder_and_remedy')),
    Row(25, 'told to end in mid-inference', 'exit code 0 within 3 s on SIGINT and SIGTERM',
        (ENGINES + 'test_a_slow_engine_skips_to_the_newest_and_is_ended_in_its_midst',), 3.0,
        'end_s'),
    Row(26, '24 h run', 'memory and handles flat (10 minutes at 50 Hz: soak.json)',
        ('faults/test_soak.py::test_memory_and_handles_stay_flat',)),
    Row(27, 'a stranger on the domain', 'SROS2 policy is exactly the live graph; session told',
        ('faults/test_strangers.py::'
         'test_the_policy_has_exactly_the_topics_and_services_of_the_live_graph',
         'faults/test_fuzz.py::test_values_and_alerts_of_any_content_ask_for_no_retry')),
)  # fmt: skip


class Collector:
    """A plugin of pytest: what became of each test, and what it measured."""

    def __init__(self) -> None:
        self.seen: Seen = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note a test that has run, or that could not."""
        if report.when == 'call' or report.outcome != 'passed':
            name = report.nodeid.split('[')[0].removeprefix('test/')
            measured = dict(report.user_properties)
            self.seen.setdefault(name, []).append((report.outcome, measured))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tests of all rows, write the table; 0 if all is green."""
    import pytest

    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args(argv)
    collector = Collector()
    names = dict.fromkeys(f'{ROOT}/test/{test}' for row in ROWS for test in row.tests)
    pytest.main(['-q', f'--rootdir={ROOT}', *names], plugins=[collector])
    rows = [judge(row, collector.seen) for row in ROWS]
    content = {
        'format': 'viva_ros faults 1', 'date': date.today().isoformat(),
        'command': 'python test/faults/table.py --out benchmarks/results/faults.json',
        'hardware': f'{platform.machine()}, {os.cpu_count()} cores, no GPU used',
        'load_average': round(os.getloadavg()[0], 1), 'rows': rows,
    }  # fmt: skip
    args.out.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    args.out.with_suffix('.md').write_text(markdown(content), encoding='utf-8')
    return 0 if all(row['green'] for row in rows) else 1


def judge(row: Row, seen: Seen) -> dict[str, Any]:
    """Return whether a row is green; one whose tests did not all run is not."""
    cases = [case for test in row.tests for case in seen.get(test, [('not run', {})])]
    outcomes = [outcome for outcome, _ in cases]
    times = [measured[row.measure] for _, measured in cases if row.measure in measured]
    slowest = max(times, default=None)
    passed = all(outcome == 'passed' for outcome in outcomes)
    in_time = row.limit is None or (slowest is not None and slowest <= row.limit)
    return {
        'number': row.number, 'fault': row.fault, 'expected': row.expected,
        'seen': f'{outcomes.count("passed")} of {len(outcomes)} cases as expected',
        'detection_s': slowest, 'limit_s': row.limit, 'green': passed and in_time,
        'tests': list(row.tests),
    }  # fmt: skip


def markdown(content: dict[str, Any]) -> str:
    """Return the table for people."""
    lines = [
        f'Made by `{content["command"]}` on {content["date"]} ({content["hardware"]}; load '
        f'{content["load_average"]}). Times are the slowest of all cases of a row.', '',
        '| # | fault | expected | seen | noticed after | limit | |',
        '|---|---|---|---|---|---|---|',
    ]  # fmt: skip
    for row in content['rows']:
        times = ['' if t is None else f'{t:.2f} s' for t in (row['detection_s'], row['limit_s'])]
        green = 'green' if row['green'] else '**red**'
        lines.append(f'| {row["number"]} | {row["fault"]} | {row["expected"]} | {row["seen"]} | '
                     f'{times[0]} | {times[1]} | {green} |')  # fmt: skip
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    sys.exit(main())
