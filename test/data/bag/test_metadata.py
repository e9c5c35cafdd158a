# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The metadata.yaml of a bag: types are exact, and texts without quotes are texts."""

from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.data.bag.metadata import METADATA, read_metadata

TEXT = 'rosbag2_bagfile_information: {{version: 9, {}}}'


@pytest.mark.parametrize(
    ('line', 'named'),
    [
        ('message_count: 010', 'message_count'),
        ('message_count: 1.5', 'message_count'),
        ('message_count: "5"', 'message_count'),
        ('message_count: true', 'message_count'),
        ('message_count: -1', 'message_count'),
        ('relative_file_paths: a.mcap', 'relative_file_paths'),
        ('relative_file_paths: {a.mcap: b}', 'relative_file_paths'),
        ('relative_file_paths: [12]', 'relative_file_paths'),
        ('relative_file_paths: [no]', 'relative_file_paths'),
        ('relative_file_paths: [""]', 'relative_file_paths'),
        ('compression_mode: 5', 'compression_mode'),
        ('compression_format: [zstd]', 'compression_format'),
    ],
)
def test_value_of_another_type_is_refused(tmp_path: Path, line: str, named: str) -> None:
    (tmp_path / METADATA).write_text(TEXT.format(line))
    with raises('bag-metadata', tmp_path / METADATA, named, 'ros2 bag reindex'):
        read_metadata(tmp_path)


@pytest.mark.parametrize('text', ['2026-12-01', '12:30', '007', '1234e56', '1_000'])
def test_custom_data_without_quotes_is_a_text(tmp_path: Path, text: str) -> None:
    (tmp_path / METADATA).write_text(TEXT.format(f'custom_data: {{run: {text}}}'))
    assert read_metadata(tmp_path)['custom_data'] == {'run': text}
