# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import threading

from support.errors import raises

from viva_ros.core.errors import RecordingError
from viva_ros.data.bag.writer import BackgroundWriter, part_path
from viva_ros.data.messages import make, serialise
from viva_ros.data.open import open_recording

TIMEOUT = 30.0  # s
KIND = 'std_msgs/msg/String'


def text(content: str) -> bytes:
    return serialise(KIND, make(KIND, data=content))


def test_background_calls_are_written_in_order(tmp_path):
    writer = BackgroundWriter(tmp_path / 'a.mcap')
    writer.metadata('viva_task', {'task': 'tray_lift'})
    for count in range(50):
        writer.write_cdr('/text', KIND, text(str(count)), count)
    writer.close(lambda path: f'{path.name} exists: {path.exists()}')
    assert writer.join(TIMEOUT) and writer.error is None and writer.backlog == 0
    assert writer.remark == 'a.mcap exists: True'
    recording = open_recording(writer.path)
    assert recording.metadata['viva_task'] == {'task': 'tray_lift'}
    assert [m.data for _, m in recording.messages('text')] == [str(k) for k in range(50)]


def test_backlog_counts_unwritten_bytes(tmp_path, monkeypatch):
    gate, message = threading.Event(), text('one')
    monkeypatch.setattr(
        'viva_ros.data.bag.writer.RecordingWriter.write_cdr',
        lambda *_: gate.wait(TIMEOUT),
    )
    writer = BackgroundWriter(tmp_path / 'a.mcap')
    for _ in range(3):
        writer.write_cdr('/text', KIND, message, 0)
    assert writer.backlog == 3 * len(message) and not writer.done
    gate.set()
    writer.discard()
    assert writer.join(TIMEOUT)
    assert not writer.path.exists() and not part_path(writer.path).exists()


def test_background_error_is_stored_and_discards_the_file(tmp_path):
    writer = BackgroundWriter(tmp_path / 'a.mcap')
    writer.write_cdr('/text', 'acme_msgs/msg/None', b'', 0)
    assert writer.join(TIMEOUT)
    assert isinstance(writer.error, RecordingError) and writer.error.code == 'type-unknown'
    writer.write_cdr('/text', KIND, text('late'), 1)
    writer.close()
    assert writer.backlog == 0 and not list(tmp_path.iterdir())


def test_background_error_names_a_missing_folder(tmp_path):
    writer = BackgroundWriter(tmp_path / 'none' / 'a.mcap')
    assert writer.join(TIMEOUT)
    with raises('recording-unwritable', 'none/a.mcap'):
        raise writer.error
