# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The faults: expected behaviour, tests, and limit of the detection time.

As a program it runs these tests and writes the results:
``python test/faults/table.py --out benchmarks/results/faults.json`` (and the .md file).
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

    :param tests: file::test, relative to test/; all cases of a parametrized test
    :param limit: limit of the detection time, s; None without a limit
    :param measure: property of the tests with the detection time
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
SENDERS = 'faults/test_value_senders.py::'
MONITOR = 'nodes/test_monitor.py::'
OVERLOAD = 'faults/test_overload.py::'
SUPPLY = 'test_supply_chain.py::'
MALFORMED = 'faults/test_malformed_messages.py::'
TRUST = 'faults/test_trust.py::'
MANIFEST = 'engine/test_manifest.py::'
THRESHOLDS = 'core/detection/test_thresholds.py::'
TRUSTED_FILES = 'core/test_trusted_files.py::'
SOCKETS = 'engine/remote/test_protocol.py::'
HOSTILE = 'faults/test_hostile_recordings.py::'
MCAP = 'faults/test_hostile_mcap.py::'
COMPRESSION = 'faults/test_hostile_compression.py::'
OUTCOMES = 'data/lerobot/test_outcome_writer.py::'
BATCHES = 'faults/test_batches.py::'

ROWS = (
    Row(1, 'a camera stops', 'unknown (stale) within 2 periods (5 Hz); recovers without a restart',
        (CAMERAS + 'test_stopped_or_killed_camera_is_stale_and_recovers',
         MONITOR + 'test_killed_camera_is_unknown_until_it_returns'), 0.4),
    Row(2, 'a camera never starts', 'error that names the topic and the published image topics',
        ('nodes/test_configure_errors.py::'
         'test_unpublished_camera_error_lists_published_ones',)),
    Row(3, 'incompatible QoS', 'error that names the topic and the policy',
        ('nodes/test_supervisor.py::'
         'test_best_effort_value_error_names_topic_and_policy',)),
    Row(4, 'frozen image while joints move', 'unknown, warning',
        (CAMERAS + 'test_frozen_dark_bright_or_covered_image_is_unknown',
         'core/test_image_checks.py::test_same_bytes_with_moving_joint_mean_frozen_camera')),
    Row(5, 'black, saturated or covered camera', 'unknown, warning',
        (CAMERAS + 'test_frozen_dark_bright_or_covered_image_is_unknown',)),
    Row(6, 'wrong size, encoding, step, truncated data, bad JPEG',
        'frame dropped, throttled warning, node continues',
        (CAMERAS + 'test_invalid_image_message_is_dropped_and_named',
         'engine/test_image_decoding_jpeg.py::test_damaged_jpeg_gives_image_or_input_error',
         'faults/test_fuzz.py::test_images_with_arbitrary_fields_are_refused')),
    Row(7, 'joints not finite, missing, additional or reordered',
        'matched by name; unknown if one is missing or not finite',
        (STAMPS + 'test_missing_or_non_finite_joint_is_unknown',
         STAMPS + 'test_reordered_and_additional_joints_change_nothing',
         'faults/test_fuzz.py::test_joints_with_arbitrary_content_are_refused')),
    Row(8, 'skew of the cameras above the slop', 'unknown, skew in diagnostics',
        (CAMERAS +
         'test_lagging_camera_is_unknown_with_measured_skew',)),
    Row(9, 'zero or future stamps', 'unknown, warning; receive time is used if configured',
        (STAMPS + 'test_future_stamp_is_unknown',
         STAMPS + 'test_zero_stamp_is_stale_and_names_the_driver',
         STAMPS + 'test_receive_time_replaces_zero_stamps_if_configured')),
    Row(10, 'time jumps back', 'all buffers are reset, values resume',
        (MONITOR + 'test_simulated_time_jumps_back_and_stops',
         'core/test_inputs.py::'
         'test_time_jump_back_empties_all_buffers_once')),
    Row(11, '/clock stops', 'paused, no error',
        (MONITOR + 'test_simulated_time_jumps_back_and_stops',)),
    Row(12, 'inference slower than its period',
        'newest input is used, no queue; rate and latency reported',
        (ENGINES + 'test_slow_engine_uses_newest_input_and_ends_in_inference',)),
    Row(13, 'inference hangs',
        'error and loss of liveliness within 2 s; engine is killed and restarted',
        (ENGINES +
         'test_hanging_engine_is_killed_restarted_and_reported',), 2.0),
    Row(14, 'device out of memory or failed',
        'one retry, then exit code 1; no fallback to the CPU',
        (ENGINES + 'test_second_device_failure_ends_process_with_error',
         'engine/test_worker.py::'
         'test_second_device_error_raises_device_error')),
    Row(15, 'engine missing, changed or writable by all', 'refused with reason and remedy',
        (ENGINES +
         'test_changed_engine_is_refused_with_reason_and_remedy',)),
    Row(16, 'monitor process killed', 'unknown within 1 s, no retry request, process restarted',
        ('workflow/test_end_to_end.py::'
         'test_killed_monitor_causes_silence_alert_and_no_retry',
         SUPERVISORS +
         'test_killed_monitor_restarts_despite_shared_memory_leftovers'),
        1.0, 'silence_s'),
    Row(17, 'supervisor process killed in its cool-down',
        'no additional retries; the hourly count is kept',
        (SUPERVISORS +
         'test_supervisor_killed_in_cool_down_requests_no_new_retry',
         SUPERVISORS +
         'test_restarted_supervisor_keeps_hourly_retry_count')),
    Row(18, 'retry server missing, slow or refusing', 'time-out, back-off, then operator required',
        (SUPERVISORS +
         'test_retry_timeout_escalates_to_operator',
         'nodes/test_supervisor.py::test_missing_retry_service_counts_as_refusal',
         'nodes/test_supervisor.py::'
         'test_refused_retries_spend_budget_until_acknowledged')),
    Row(19, 'flapping value, two monitors, alert of an earlier run',
        'at most one alarm per cool-down; monitors named; sessions distinguished',
        (SUPERVISORS +
         'test_two_contradicting_monitors_alarm_once_and_are_named',
         'core/detection/test_detector_properties.py::'
         'test_flapping_value_alarms_once_per_cool_down_at_most',
         SUPERVISORS +
         'test_supervisor_killed_in_cool_down_requests_no_new_retry')),
    Row(20, 'two supervisors', 'the one configured later is passive and reports it',
        ('nodes/test_supervisor.py::test_younger_of_two_supervisors_requests_nothing',
         'nodes/test_supervisor.py::'
         'test_rival_of_an_older_session_is_named_and_unknown_until_it_ends')),
    Row(21, 'invalid parameters at run time', 'refused with a reason, previous value kept',
        ('nodes/test_configure_errors.py::test_rejected_parameter_keeps_old_value',)),
    Row(22, 'shared-memory segments left after SIGKILL',
        'the node starts; viva doctor reports the segments',
        (SUPERVISORS +
         'test_killed_monitor_restarts_despite_shared_memory_leftovers',
         'doctor/test_checks.py::'
         'test_segment_of_a_killed_node_is_found')),
    Row(23, 'truncated recording', 'the readable part is read, the loss is reported',
        ('data/test_recording.py::test_truncated_file_is_read_and_reports_the_loss',
         'data/conversion/test_convert.py::'
         'test_truncated_bag_is_imported_only_above_min_readable')),
    Row(24, 'killed or disk full while writing', 'no corrupt file; the import can be resumed',
        ('data/bag/test_writer.py::'
         'test_killed_writer_leaves_a_readable_part_file',
         'core/test_files.py::test_full_disk_keeps_old_file_and_no_temporary_file',
         'data/conversion/test_convert_resume.py::test_full_disk_error_names_folder_and_remedy')),
    Row(25, 'shutdown request during inference', 'exit code 0 within 3 s on SIGINT and SIGTERM',
        (ENGINES + 'test_slow_engine_uses_newest_input_and_ends_in_inference',), 3.0,
        'end_s'),
    Row(26, '24 h run', 'memory and file handles stay constant (10 minutes at 50 Hz: soak.json)',
        ('faults/test_soak.py::test_memory_and_handles_stay_flat',)),
    Row(27, 'an unrelated node on the domain',
        'the SROS 2 policy equals the live graph; no retry request',
        ('faults/test_unrelated_nodes.py::'
         'test_policy_equals_topics_and_services_of_live_graph',
         'faults/test_fuzz.py::test_arbitrary_values_and_alerts_request_no_retry')),
    Row(28, 'old values replayed, or values ahead of the clock',
        'unknown with the figure, no retry request; next to a monitor, no effect on its judgement',
        (SENDERS + 'test_replayed_failure_is_unknown_and_requests_no_retry',
         SENDERS + 'test_replay_next_to_a_monitor_changes_no_judgement',
         'core/test_value_source.py::test_replayed_values_are_never_heard',
         'core/test_value_source.py::test_value_of_an_old_input_is_refused',
         'core/test_retry.py::test_outdated_alarm_requests_nothing_but_an_operator')),
    Row(29, 'values of a second monitor, or of a foreign episode or task',
        'unknown, nothing is judged, both named; a restarted monitor is accepted',
        (SENDERS + 'test_values_of_two_monitors_are_not_judged',
         SENDERS + 'test_values_of_a_foreign_episode_are_unknown',
         SENDERS + 'test_values_of_another_task_are_refused_and_change_nothing',
         SENDERS + 'test_unknown_values_of_changing_tasks_are_unknown',
         'core/test_value_source.py::test_value_that_contradicts_the_episode_changes_nothing',
         SENDERS + 'test_pending_retry_ends_with_two_monitors',
         SENDERS + 'test_restarted_monitor_is_accepted_without_a_second',
         SENDERS + 'test_watch_recovers_from_a_foreign_episode',
         'core/test_value_source.py::test_stamps_that_go_back_again_and_again_are_refused')),
    Row(30, 'malformed messages and requests; an auxiliary process that dies again and again',
        'counted, diagnosed, dropped; monitor and supervisor keep their processes',
        (MALFORMED + 'test_malformed_message_is_counted_and_ends_no_node',
         MALFORMED + 'test_black_box_records_its_supervisor_after_malformed_and_foreign',
         MALFORMED + 'test_malformed_request_ends_no_node_and_the_next_is_served',
         MALFORMED + 'test_parameter_of_unknown_type_is_counted_and_ends_no_node',
         MALFORMED + 'test_flood_of_malformed_alerts_leaves_the_heartbeats',
         MALFORMED + 'test_topics_of_another_type_end_no_node',
         'faults/test_fates_apart.py::test_black_box_killed_six_times_ends_alone')),
    Row(31, 'files named like libraries in the working directory', 'not executed by any child',
        ('faults/test_working_directory.py::'
         'test_nodes_and_engine_process_run_none_of_the_files',
         'faults/test_working_directory.py::test_workers_of_score_run_none_of_the_files',
         'faults/test_working_directory.py::'
         'test_measured_engine_processes_run_none_of_the_files',
         'faults/test_working_directory.py::test_workers_of_import_run_none_of_the_files',
         'faults/test_working_directory.py::test_workers_of_record_run_none_of_the_files',
         'faults/test_working_directory.py::test_nodes_of_the_demo_run_none_of_the_files',
         'faults/test_working_directory.py::test_pool_of_processes_runs_none_of_the_files',
         'test_child_processes.py::'
         'test_every_start_of_a_process_uses_the_helper_or_is_listed')),
    Row(32, 'a damaged chunk of an MCAP file',
        'its own messages are lost, and counted by topic; nothing is invented',
        (MCAP + 'test_flipped_bits_invent_nothing_and_hide_no_loss',
         MCAP + 'test_damaged_chunk_takes_only_its_own_messages',
         MCAP + 'test_messages_of_an_unknown_channel_count_as_lost',
         MCAP + 'test_repeated_definitions_are_read_by_other_readers')),
    Row(33, 'a topic of another type under a name of this package; a recording that fails',
        'named, not read; the other recordings go on, exit code 2',
        (HOSTILE + 'test_topic_of_another_type_is_named_once_and_not_read',
         HOSTILE + 'test_import_goes_on_past_a_recording_that_fails',
         BATCHES + 'test_score_goes_on_past_recordings_that_fail',
         BATCHES + 'test_label_goes_on_past_recordings_that_fail',
         BATCHES + 'test_evaluation_goes_on_past_recordings_that_fail',
         BATCHES + 'test_calibration_leaves_out_a_fault_in_a_replay_by_name',
         BATCHES + 'test_training_names_all_recordings_that_fail_and_keeps_the_rest')),
    Row(34, 'outcomes as words', 'no word but a known one is an outcome',
        (HOSTILE + 'test_word_of_a_failure_is_no_success',)),
    Row(35, 'a file of an engine or a calibration is changed, added, not listed or out of range',
        'refused with the file, the field, the range and a remedy; a killed calibration leaves a '
        'folder that is accepted',
        (TRUST + 'test_one_bit_in_any_file_that_decides_is_refused',
         TRUST + 'test_each_command_refuses_an_engine_with_a_file_not_listed',
         TRUST + 'test_supervisor_refuses_a_calibration_out_of_range',
         MANIFEST + 'test_file_that_decides_and_is_not_listed_is_refused',
         MANIFEST + 'test_external_data_is_listed_and_read_from_the_folder',
         MANIFEST + 'test_description_of_first_format_is_refused_until_stamped',
         MANIFEST + 'test_calibrate_killed_at_any_point_leaves_an_accepted_folder',
         MANIFEST + 'test_calibration_outside_of_an_engine_is_checked_for_other_users',
         MANIFEST + 'test_all_readers_of_engines_and_calibrations_are_known',
         'engine/test_api.py::test_invalid_field_of_description_is_refused',
         THRESHOLDS + 'test_threshold_outside_the_range_of_its_rule_is_refused',
         THRESHOLDS + 'test_number_of_calibration_out_of_range_is_refused')),
    Row(36, 'a file or folder is exchanged between its check and its use; a folder above it is '
        'writable by others',
        'the checked bytes are loaded, or it is refused',
        (TRUST + 'test_exchange_of_files_and_folders_never_loads_other_bytes',
         TRUST + 'test_weights_exchanged_after_their_check_are_not_loaded',
         TRUST + 'test_engine_below_a_folder_that_others_can_write_is_refused',
         TRUST + 'test_fifo_in_place_of_a_file_is_refused_without_waiting',
         MANIFEST + 'test_file_exchanged_after_its_check_is_not_loaded',
         TRUSTED_FILES + 'test_exchange_between_check_and_read_changes_nothing',
         TRUSTED_FILES + 'test_exchanged_folders_never_mix',
         TRUSTED_FILES + 'test_link_of_other_user_is_refused_anywhere_in_a_path')),
    Row(37, 'sizes, paths and files of a hostile recording',
        'refused by name before memory is allocated, below 1 GiB',
        (HOSTILE + 'test_image_above_the_limits_is_refused_by_its_header',
         HOSTILE + 'test_video_of_huge_pictures_is_refused_by_its_parameters',
         HOSTILE + 'test_bomb_is_refused_within_one_gibibyte',
         HOSTILE + 'test_chunk_is_decompressed_up_to_its_declared_size',
         HOSTILE + 'test_definition_that_would_not_end_is_refused',
         HOSTILE + 'test_path_template_has_names_and_digits_only',
         HOSTILE + 'test_pipes_and_links_in_circles_are_no_recordings',
         HOSTILE + 'test_pipes_next_to_recordings_are_not_waited_for',
         COMPRESSION + 'test_bombs_are_refused_within_half_a_gibibyte',
         COMPRESSION + 'test_file_above_a_limit_is_refused_and_its_remedy_works',
         COMPRESSION + 'test_ros1_chunk_of_a_huge_size_is_refused_by_its_header')),
    Row(38, 'the address of an engine server is a file, or in a folder of another user',
        'nothing is deleted but sockets of this user; with auto the monitor uses an engine of its '
        'own and says why',
        (TRUST + 'test_serve_deletes_no_file_at_its_address',
         TRUST + 'test_monitor_uses_its_own_engine_if_the_default_socket_is_unsafe',
         SOCKETS + 'test_address_that_is_no_socket_is_not_deleted',
         SOCKETS + 'test_end_of_server_deletes_its_own_socket_only',
         SOCKETS + 'test_socket_folder_of_other_user_is_refused')),
    Row(39, 'a name twice in a file or a message; two publishers of one input',
        'refused or unknown, the name is named',
        (HOSTILE + 'test_file_twice_in_a_table_of_labels_is_refused',
         'core/test_joint_states.py::test_name_twice_is_refused_with_a_remedy',
         'core/test_joint_buffer.py::test_zeros_of_a_second_publisher_are_not_believed',
         'data/test_video_packets.py::test_streams_of_two_publishers_have_no_image')),
    Row(40, 'markup, control characters and megabytes in names and reasons',
        'shown as they are, escaped and shortened',
        ('console/test_terminal.py::test_names_with_markup_and_escapes_are_shown_as_they_are',
         'console/test_terminal.py::test_texts_reach_the_terminal_by_one_place',
         'console/test_terminal.py::test_error_text_is_escaped_once_where_it_is_made',
         'visualization/test_plotted_text.py::test_evaluation_of_hostile_names_is_drawn',
         'visualization/test_plotted_text.py::test_texts_reach_plots_by_one_function')),
    Row(41, '/clock that is negative or no time', 'counted, reported, ignored',
        ('faults/test_malformed_clock.py::'
         'test_malformed_clock_is_counted_and_ends_no_node',)),
    Row(42, 'processors are overloaded',
        'an engine that waits for a processor is unknown, with the reason, and not killed; one '
        'that hangs or loops is; loads wait longer after each kill',
        (OVERLOAD + 'test_starved_engine_is_given_time_and_answers',
         OVERLOAD + 'test_monitor_on_starved_core_is_unknown_and_keeps_its_engine',
         OVERLOAD + 'test_hanging_engine_is_killed_on_idle_and_busy_core',
         OVERLOAD + 'test_engine_without_any_processor_is_killed_in_the_end',
         'engine/test_isolated_process.py::test_restart_waits_for_its_delay_and_for_a_slot',
         'engine/test_isolated_process.py::test_first_load_waits_for_a_slot',
         'engine/remote/test_overloaded_server.py::test_starved_server_is_waited_for',
         'nodes/test_supervisor.py::test_values_slower_than_calibrated_are_a_warning')),
    Row(43, 'JSON and YAML of others', 'size, depth, names and numbers are checked by one guard',
        ('core/test_json_reader.py::test_content_that_no_reader_expects_is_refused',
         HOSTILE + 'test_yaml_that_no_reader_expects_is_refused',
         HOSTILE + 'test_rate_of_a_dataset_must_be_a_rate',
         'test_guarded_readers.py::test_data_of_others_are_parsed_by_the_guards',
         OUTCOMES + 'test_journal_of_a_stranger_touches_nothing',
         OUTCOMES + 'test_json_of_others_is_read_by_the_guard')),
    Row(44, 'a dependency that is exchanged, unknown or vulnerable, or under another licence',
        'locks with hashes, SBOM and licences of each version; no result without advisories; a '
        'free video encoder without real-time priority',
        (SUPPLY + 'test_locks_are_made_from_the_present_requirements',
         SUPPLY + 'test_each_lock_entry_has_a_hash_and_one_version',
         SUPPLY + 'test_licences_and_sbom_have_each_locked_version',
         'test_audit.py::test_audit_without_a_current_database_is_not_sound',
         'test_audit.py::test_range_that_is_not_evaluated_leaves_a_locked_version_unknown',
         'test_audit.py::test_audit_without_a_network_knows_nothing',
         'test_audit.py::test_audit_with_a_finding_fails_and_names_the_remedy',
         'data/lerobot/test_video_encoders.py::test_encoder_never_has_real_time_priority')),
)  # fmt: skip


class Collector:
    """Plugin of pytest that collects outcome and properties of each test."""

    def __init__(self) -> None:
        self.seen: Seen = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Store a test that ran, or whose setup failed."""
        if report.when == 'call' or report.outcome != 'passed':
            name = report.nodeid.split('[')[0].removeprefix('test/')
            measured = dict(report.user_properties)
            self.seen.setdefault(name, []).append((report.outcome, measured))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tests of all rows and write the table; exit code 0 if all rows passed."""
    import pytest

    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        help='JSON file of the results; the table (.md) next to it',
    )
    parser.add_argument(
        '--rows',
        type=int,
        nargs='+',
        choices=[row.number for row in ROWS],
        metavar='N',
        help='rows to run again; the others stay as they are in the file',
    )
    args = parser.parse_args(argv)
    chosen = [row for row in ROWS if not args.rows or row.number in args.rows]
    before = json.loads(args.out.read_text(encoding='utf-8')) if args.rows else {}
    collector = Collector()
    names = dict.fromkeys(f'{ROOT}/test/{test}' for row in chosen for test in row.tests)
    pytest.main(['-q', f'--rootdir={ROOT}', *names], plugins=[collector])
    made = {row['number']: row for row in before.get('rows', ())}
    made |= {row.number: judge(row, collector.seen) for row in chosen}
    rows = [made[row.number] for row in ROWS]
    content = {
        'format': 'viva_ros faults 1', 'date': date.today().isoformat(),
        'command': 'python test/faults/table.py --out benchmarks/results/faults.json',
        'hardware': f'{platform.machine()}, {os.cpu_count()} cores, no GPU used',
        'load_average': round(os.getloadavg()[0], 1), 'rows': rows,
        'again': sorted({*before.get('again', ()), *(args.rows or ())}),
    }  # fmt: skip
    args.out.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    args.out.with_suffix('.md').write_text(markdown(content), encoding='utf-8')
    return 0 if all(row['green'] for row in rows) else 1


def judge(row: Row, seen: Seen) -> dict[str, Any]:
    """Return the result of a row; it passed if all its tests ran and passed in time."""
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
    """Return the table as Markdown."""
    numbers = ', '.join(map(str, content['again']))
    again = f' Run again after the others: {numbers}.' if numbers else ''
    lines = [
        f'Made by `{content["command"]}` on {content["date"]} ({content["hardware"]}; load '
        f'{content["load_average"]}). Detection time: the slowest case of a row.{again}', '',
        '| # | fault | expected behaviour | result | detection time | limit | status |',
        '|---|---|---|---|---|---|---|',
    ]  # fmt: skip
    for row in content['rows']:
        times = ['' if t is None else f'{t:.2f} s' for t in (row['detection_s'], row['limit_s'])]
        green = 'passed' if row['green'] else '**failed**'
        lines.append(f'| {row["number"]} | {row["fault"]} | {row["expected"]} | {row["seen"]} | '
                     f'{times[0]} | {times[1]} | {green} |')  # fmt: skip
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    sys.exit(main())
