# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows 35, 36 and 38: files and sockets that decide, changed or exchanged by others."""

import hashlib
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from support.errors import raises
from support.publishing_robot import PublishingRobot
from support.ros import PATIENCE, wait

from viva_ros.core.detection.thresholds import calibration_file
from viva_ros.core.errors import VivaError
from viva_ros.engine.backends.onnx import load_graph
from viva_ros.engine.backends.pytorch import PytorchEngine
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import checksum, read_calibration, read_manifest
from viva_ros.engine.resources import engine_folder
from viva_ros.model import checkpoint
from viva_ros.nodes import qos

TASK = 'tray_lift'
SHIPPED = engine_folder('', TASK)
CALIBRATION = calibration_file(SHIPPED, TASK).name
LOADS = 400


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """Return a copy of the shipped engine."""
    shutil.copytree(SHIPPED, tmp_path / 'engine')
    return tmp_path / 'engine'


def viva(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    line = [sys.executable, '-P', '-m', 'viva_ros.cli.main', *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ('name', 'read'),
    [
        ('engine.onnx', lambda folder: load(folder, TASK, 'onnx')),
        ('engine.onnx', lambda folder: load(folder, TASK, 'openvino')),
        ('model.json', lambda folder: load(folder, TASK, 'pytorch')),
        ('model.safetensors', lambda folder: load(folder, TASK, 'pytorch')),
        ('engine.json', lambda folder: load(folder, TASK)),
        (CALIBRATION, lambda folder: read_calibration(folder / CALIBRATION)),
    ],
    ids=['onnx', 'openvino', 'pytorch model', 'pytorch weights', 'description', 'calibration'],
)
def test_one_bit_in_any_file_that_decides_is_refused(
    engine: Path, name: str, read: Callable[[Path], object]
) -> None:
    read(engine)
    flip(engine / name)
    with pytest.raises(VivaError, match=name.replace('.', r'\.')) as refused:
        read(engine)
    assert refused.value.code in ('engine-hash', 'engine-json-text', 'engine-json-changed')


@pytest.mark.parametrize('command', ['score', 'evaluate', 'calibrate', 'serve', 'doctor'])
def test_each_command_refuses_an_engine_with_a_file_not_listed(
    engine: Path, tmp_path: Path, command: str
) -> None:
    (engine / 'calibration_other.json').write_text('{}')
    options = {
        'score': ['--out', tmp_path / 'out', tmp_path, '--task', TASK],
        'evaluate': ['--out', tmp_path / 'out.json', '--calibration-recordings', tmp_path,
                     tmp_path],
        'calibrate': [tmp_path, '--task', TASK], 'serve': ['--task', TASK],
        'doctor': ['--task', TASK, '--seconds', '0.1'],
    }[command]  # fmt: skip
    if command in ('score', 'evaluate'):
        from support.recordings import RISING, make_label, write_recording

        write_recording(tmp_path / 'a.mcap', RISING, label=make_label())
    done = viva(command, '--engine', engine, *options)
    said = ' '.join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert 'calibration_other.json, which engine.json does not list' in said, said


@pytest.mark.parametrize(
    ('name', 'value', 'named'),
    [
        ('alarm', 1e9, 'thresholds.drop.alarm is 1000000000.0'),
        ('alarm', math.inf, 'thresholds.drop.alarm is inf'),
        ('alpha', 5, 'alpha is 5'),
    ],
)
def test_supervisor_refuses_a_calibration_out_of_range(
    running, tmp_path: Path, name: str, value: float, named: str
) -> None:
    listener, processes = running
    content = json.loads((SHIPPED / CALIBRATION).read_text())
    (content['thresholds']['drop'] if name == 'alarm' else content)[name] = value
    (tmp_path / 'mine.json').write_text(json.dumps(content))
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    process = processes.start(
        'viva_ros.nodes.supervisor', '--ros-args', '-p', f'calibration:={tmp_path}/mine.json',
        '-p', f'engine:={SHIPPED}', '-p', f'task:={TASK}',
    )  # fmt: skip

    def errors() -> list[str]:
        return [s.message for d in diagnoses for s in d.status
                if s.level == DiagnosticStatus.ERROR]  # fmt: skip

    wait(lambda: any(named in text for text in errors()), named)
    text = next(text for text in errors() if named in text)
    assert 'mine.json' in text and "run 'viva calibrate'" in text
    process.terminate()
    process.wait(PATIENCE)


@pytest.mark.timeout(600)
def test_exchange_of_files_and_folders_never_loads_other_bytes(tmp_path: Path) -> None:
    """One thread exchanges single files, then whole folders, between two engines."""
    known = {}
    for number, name in enumerate(('one', 'two')):
        shutil.copytree(SHIPPED.with_name('viperx_proprio'), tmp_path / name)
        if number:  # the same graph with one more byte, and its own fingerprint
            _make_other(tmp_path / name)
        made = read_manifest(tmp_path / name)
        known[made.fingerprint] = (tmp_path / name / 'engine.onnx').read_bytes()
    assert len(known) == len({*known.values()}) == 2
    over = threading.Event()
    thread = threading.Thread(target=_exchange, args=(tmp_path, over))
    thread.start()
    loaded = refused = 0
    try:
        for _ in range(LOADS):
            try:
                graph = load_graph(tmp_path / 'one', TASK, 'onnx')
            except VivaError:
                refused += 1
                continue
            assert graph.content == known[graph.manifest.fingerprint]
            loaded += 1
    finally:
        over.set()
        thread.join()
    assert loaded and loaded + refused == LOADS


def _make_other(folder: Path) -> None:
    graph = folder / 'engine.onnx'
    graph.write_bytes(graph.read_bytes() + b'\x1a\x00')  # an empty producer version
    content = json.loads((folder / 'engine.json').read_text())
    digest = hashlib.sha256(graph.read_bytes()).hexdigest()
    content['sha256'] = digest
    content['files']['engine.onnx'] = {'size': graph.stat().st_size, 'sha256': digest}
    content['fingerprint'] = hashlib.sha256(
        f'{content["provenance"]["checkpoint"]} {digest}'.encode()
    ).hexdigest()[:16]
    content['checksum'] = checksum(content)
    (folder / 'engine.json').write_text(json.dumps(content))


def _exchange(folder: Path, over: threading.Event) -> None:
    one, two, spare = (folder / name for name in ('one', 'two', 'spare'))
    names = [Path(), Path('engine.onnx'), Path('engine.json'), Path('engine.onnx')]
    while not over.is_set():
        for name in [*names, names[2]]:  # every second round begins with whole engines
            for source, target in ((one, spare), (two, one), (spare, two)):
                if name == Path():
                    source.rename(target)
                else:
                    spare_file = folder / 'spare_file'
                    (spare_file if source == spare else source / name).rename(
                        spare_file if target == spare else target / name
                    )


def test_weights_exchanged_after_their_check_are_not_loaded(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library opens the file that was hashed, not the one that has its name now."""
    expected = PytorchEngine(engine, TASK, 'cpu')._model.state_dict()
    opened = checkpoint.safe_open

    def exchange_then_open(path: Path, framework: str) -> object:
        (engine / 'other').write_bytes(b'weights of a stranger')
        (engine / 'other').rename(engine / checkpoint.WEIGHTS)
        return opened(path, framework)

    monkeypatch.setattr(checkpoint, 'safe_open', exchange_then_open)
    found = PytorchEngine(engine, TASK, 'cpu')._model.state_dict()
    assert all(found[name].equal(one) for name, one in expected.items())
    assert (engine / checkpoint.WEIGHTS).read_bytes() == b'weights of a stranger'


def test_engine_below_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / 'shared' / 'robots' / 'engine'
    folder.parent.mkdir(parents=True)
    shutil.copytree(SHIPPED, folder)
    (tmp_path / 'shared').chmod(0o777)
    with raises('file-world-writable', tmp_path / 'shared') as caught:
        load(folder, TASK)
    remedy = shlex.split(str(caught.value).partition("run '")[2].rpartition("'")[0])
    subprocess.run(remedy, check=True)
    load(folder, TASK).close()


@pytest.mark.timeout(60)
def test_fifo_in_place_of_a_file_is_refused_without_waiting(engine: Path) -> None:
    for name in ('engine.json', 'engine.onnx', CALIBRATION):
        content = (engine / name).read_bytes()
        (engine / name).unlink()
        os.mkfifo(engine / name)
        with raises('file-not-regular', engine / name, 'FIFO'):
            if name == CALIBRATION:
                read_calibration(engine / name)
            else:
                load(engine, TASK, 'onnx')
        (engine / name).unlink()
        (engine / name).write_bytes(content)
    load(engine, TASK, 'onnx').close()


def test_serve_deletes_no_file_at_its_address(tmp_path: Path) -> None:
    work = tmp_path / 'weeks_of_work.bin'
    work.write_bytes(b'precious')
    engine = SHIPPED.with_name('viperx_proprio')
    done = viva('serve', '--engine', engine, '--task', TASK, '--address', work)
    said = ' '.join((done.stdout + done.stderr).split())
    assert done.returncode != 0 and f'{work} is no socket, and is not deleted' in said, said
    assert 'Traceback' not in said and work.read_bytes() == b'precious'


@pytest.fixture
def source(running) -> Iterator[PublishingRobot]:
    made = PublishingRobot(running[0], read_manifest(SHIPPED).ranges.names)
    yield made
    made.close()


@pytest.mark.parametrize('kind', ['file at the socket', 'link to a folder of others'])
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file away')
def test_monitor_uses_its_own_engine_if_the_default_socket_is_unsafe(
    running, source: PublishingRobot, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / 'viva_ros'
    if kind == 'file at the socket':
        folder.mkdir(mode=0o700)
        (folder / 'engine.sock').write_bytes(b'precious')
        reason = 'engine.sock is no socket'
    else:
        (tmp_path / 'theirs').mkdir()
        folder.symlink_to(tmp_path / 'theirs')
        os.lchown(folder, 12345, -1)
        reason = f'{folder} belongs to user 12345'
    _, processes = running
    process = processes.start(
        'viva_ros.nodes.monitor', '--ros-args', '-p', 'transport:=raw', '-p', f'engine:={SHIPPED}',
        '-p', 'input_timeout:=0.0', '-p', 'engine_server:=auto', '-p', f'task:={TASK}',
        XDG_RUNTIME_DIR=str(tmp_path),
    )  # fmt: skip
    wait(source.known, 'values of the own engine')
    wait(lambda: any(e.level == DiagnosticStatus.WARN and reason in e.message
                     for e in source.entries('/monitor: engine')), reason)  # fmt: skip
    process.terminate()
    process.wait(PATIENCE)
    if kind == 'file at the socket':
        assert (folder / 'engine.sock').read_bytes() == b'precious'
