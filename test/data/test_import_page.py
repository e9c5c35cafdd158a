# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each row of the tables of formats in docs/import.md has its tests."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / 'docs' / 'import.md'
#: Beginning of a row to its tests in test/data.
TESTS: dict[str, dict[str, tuple[str, ...]]] = {
    'Which bags are read': {
        'folder with `metadata.yaml`': (
            'test_intact_bag_is_equal_through_both_readers',
            'test_compressed_bag_equals_the_uncompressed',
        ),
        'a listed file is missing': (
            'test_listed_file_that_is_not_there_is_a_loss',
            'test_file_that_the_metadata_does_not_list_is_a_loss',
            'test_message_count_that_differs_is_a_loss',
        ),
        'folder `NAME` with': (
            'test_parts_are_joined_in_numeric_order',
            'test_follows_allows_a_short_pause_and_a_short_overlap',
        ),
        'the same with a hole': (
            'test_missing_part_is_refused_by_number',
            'test_parts_that_do_not_follow_each_other_are_refused',
        ),
        'such parts in a folder': (
            'test_parts_in_another_folder_are_refused_with_a_remedy',
        ),
        'one part by itself': (
            'test_part_given_by_itself_is_refused',
        ),
        '`FILE.db3` with `FILE.db3-wal`': (
            'test_messages_of_a_write_ahead_log_are_read',
        ),
        '`FILE.db3` with an unfinished': (
            'test_hot_journal_is_refused_and_its_remedy_works',
        ),
        'a file without its end': (
            'test_truncated_file_is_read_and_reports_the_loss',
            'test_only_the_damaged_chunk_is_lost',
        ),
        'ROS 1 `*.bag`': (
            'test_messages_are_read_as_those_of_ros2',
        ),
        'ROS 1 bag without index': (
            'test_damaged_bag_is_refused_with_a_remedy',
            'test_unfinished_bag_is_refused_with_a_remedy',
        ),
        '`*.mcap.zstd`': (
            'test_compressed_recording_is_found_and_refused',
        ),
        'archive, Git LFS pointer': (
            'test_file_of_another_format_is_refused_by_name',
            'test_archive_is_unpacked_by_its_remedy', 'test_empty_file_is_refused_by_name',
        ),
        'a topic with two channels': (
            'test_two_channels_of_one_type_are_joined',
        ),
        'a topic with two types': (
            'test_two_channels_of_two_types_are_refused',
        ),
    },
    'Which datasets are read': {
        'LeRobot v2.0, v2.1, v3.x': (
            'test_dataset_of_each_version_has_frame_i_at_row_i',
        ),
        'H.264, H.265 or AV1': (
            'test_video_of_each_codec_has_frame_i_at_row_i',
        ),
        '`names` as a list': (
            'test_names_are_read_in_each_form',
        ),
        'no names': (
            'test_names_are_never_made_up',
            'test_names_twice_are_refused_and_named_by_a_map',
        ),
        'state as': (
            'test_state_under_another_name_is_found',
            'test_state_in_several_features_is_named_by_a_map',
        ),
        '`meta/modality.json`': (
            'test_modality_file_names_cameras_and_joints',
        ),
        'depth:': (
            'test_depth_feature_is_no_camera',
        ),
        'as many video frames': (
            'test_real_timestamps_keep_frame_i_at_row_i',
        ),
        'another number of frames': (
            'test_other_number_of_frames_than_rows_is_refused',
        ),
        '`length`, `frame_index`': (
            'test_lost_or_repeated_rows_are_refused',
            'test_rows_of_another_episode_are_refused',
            'test_wrong_index_in_the_dataset_is_refused',
            'test_pointer_into_another_episode_is_refused',
            'test_statistics_of_another_episode_are_refused',
        ),
        'timestamps that go back': (
            'test_frame_index_gives_the_times_of_wrong_timestamps',
            'test_timestamps_in_another_unit_have_a_remedy',
        ),
        'episodes of a video file': (
            'test_episodes_in_another_order_than_their_pictures_are_refused',
        ),
        'a missing file': (
            'test_missing_files_refuse_their_episode_alone',
        ),
        'a Git LFS pointer, or a file': (
            'test_pointer_in_place_of_a_file_refuses_its_episode',
        ),
    },
}  # fmt: skip


def rows(heading: str) -> list[str]:
    """Return the first cells of the table below a heading, without its head."""
    section = PAGE.read_text(encoding='utf-8').partition(f'\n## {heading}\n')[2]
    lines = [line for line in section.partition('\n## ')[0].splitlines() if line.startswith('|')]
    return [line.strip('| ').partition(' | ')[0] for line in lines[2:]]


@pytest.mark.parametrize('heading', TESTS)
def test_each_row_has_tests_that_exist(heading: str) -> None:
    found = rows(heading)
    assert [one for one in found if not one.startswith(tuple(TESTS[heading]))] == []
    assert [key for key in TESTS[heading] if not any(one.startswith(key) for one in found)] == []
    names = [name for names in TESTS[heading].values() for name in names]
    texts = [path.read_text(encoding='utf-8') for path in HERE.rglob('test_*.py')]
    defined = {name for text in texts for name in re.findall(r'^def (test_\w+)', text, re.M)}
    assert set(names) <= defined
