# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import threading

import pytest

from viva_ros.core.errors import RecordingError
from viva_ros.data.bag.writer import BackgroundWriter, part_path
from viva_ros.data.messages import make, serialise
from viva_ros.data.open import open_recording

PATIENCE = 30.0  # s
KIND = 'std_msgs/msg/String'


def text(content: str) -> bytes:
    return serialise(KIND, make(KIND, data=content))


def test_calls_are_written_in_their_order(tmp_path):
    writer = BackgroundWriter(tmp_path / 'a.mcap')
    writer.metadata('viva_task', {'task': 'tray_lift'})
    for count in range(50):
        writer.write_cdr('/said', KIND, text(str(count)), count)
    writer.close(lambda path: f'{path.name} is there: {path.exists()}')
    assert writer.join(PATIENCE) and writer.error is None and writer.backlog == 0
    assert writer.remark == 'a.mcap is there: True'
    recording = open_recording(writer.path)
    assert recording.metadata['viva_task'] == {'task': 'tray_lift'}
    assert [m.data for _, m in recording.messages('said')] == [str(k) for k in range(50)]


def test_backlog_counts_what_the_disk_has_not_taken(tmp_path, monkeypatch):
    gate, message = threading.Event(), text('one')
    monkeypatch.setattr(
        'viva_ros.data.bag.writer.RecordingWriter.write_cdr',
        lambda *_: gate.wait(PATIENCE),
    )
    writer = BackgroundWriter(tmp_path / 'a.mcap')
    for _ in range(3):
        writer.write_cdr('/said', KIND, message, 0)
    assert writer.backlog == 3 * len(message) and not writer.done
    gate.set()
    writer.discard()
    assert writer.join(PATIENCE)
    assert not writer.path.exists() and not part_path(writer.path).exists()


def test_error_discards_the_file_and_is_kept(tmp_path):
    writer = BackgroundWriter(tmp_path / 'a.mcap')
    writer.write_cdr('/said', 'nobody_msgs/msg/None', b'', 0)
    assert writer.join(PATIENCE)
    assert isinstance(writer.error, RecordingError)
    writer.write_cdr('/said', KIND, text('late'), 1)
    writer.close()
    assert writer.backlog == 0 and not list(tmp_path.iterdir())


def test_folder_that_is_not_there_is_an_error(tmp_path):
    writer = BackgroundWriter(tmp_path / 'none' / 'a.mcap')
    assert writer.join(PATIENCE)
    with pytest.raises(RecordingError, match='cannot be written'):
        raise writer.error
