# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The list of files of an engine: what is refused, what is read, and how it is written."""

import ast
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.errors import raises

from viva_ros.cli.main import main
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration, Threshold, calibration_file
from viva_ros.core.observation import Observation
from viva_ros.engine import manifest
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import (
    EngineFolder,
    checksum,
    read_calibration,
    read_manifest,
    save_calibration,
    stamp,
)

MakeEngine = Callable[..., Path]
ROOT = Path(__file__).parents[2]


def calibration(alarm: float = 0.2, **changes: object) -> Calibration:
    made = Calibration(
        engine='0123456789abcdef', task='lift', episodes=60, alpha=0.1, warn_alpha=0.3, rank=59,
        coverage=(0.92, 0.99), rules=RuleSettings(), rate=10.0,
        thresholds={'drop': Threshold(0.1, alarm)}, source='a test', seconds=9.0,
    )  # fmt: skip
    return replace(made, **changes)


def remedy(text: str) -> list[str]:
    """Return the arguments of the command 'viva ...' that an error proposes."""
    return shlex.split(text.partition("'viva ")[2].partition("'")[0])


def rewrite(folder: Path, **changes: object) -> None:
    """Change a description together with its checksum; None removes a field."""
    content = json.loads((folder / 'engine.json').read_text()) | changes
    content = {name: value for name, value in content.items() if value is not None}
    (folder / 'engine.json').write_text(json.dumps(content | {'checksum': checksum(content)}))


def first_format(folder: Path, with_checksum: bool = True) -> None:
    """Make an engine one of the first format, which lists no files."""
    content = json.loads((folder / 'engine.json').read_text())
    content = {k: v for k, v in content.items() if k not in ('files', 'checksum')} | {'format': 1}
    if with_checksum:
        content['checksum'] = checksum(content)
        assert len(content['checksum']) == 16
    (folder / 'engine.json').write_text(json.dumps(content))


def test_description_lists_size_and_hash_of_each_file(make_engine: MakeEngine) -> None:
    folder = make_engine()
    save_calibration(calibration(), calibration_file(folder, 'lift'))
    listed = read_manifest(folder).files
    assert set(listed) == {'engine.onnx', 'calibration_lift.json'}
    for name, one in listed.items():
        content = (folder / name).read_bytes()
        assert (one.size, one.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize('with_checksum', [True, False])
def test_description_of_first_format_is_refused_until_stamped(
    make_engine: MakeEngine, capsys: pytest.CaptureFixture[str], with_checksum: bool
) -> None:
    folder = make_engine()
    made = read_manifest(folder)
    first_format(folder, with_checksum)
    with raises('engine-format-first', folder / 'engine.json', 'viva stamp') as caught:
        load(folder, 'lift')
    assert main(remedy(str(caught.value))) == 0
    assert 'engine.onnx' in capsys.readouterr().out
    assert read_manifest(folder) == made
    load(folder, 'lift').close()


def test_description_without_checksum_is_refused(make_engine: MakeEngine) -> None:
    folder = make_engine()
    content = json.loads((folder / 'engine.json').read_text())
    del content['checksum']
    (folder / 'engine.json').write_text(json.dumps(content))
    with raises('engine-json-changed', 'no checksum', 'viva export'):
        load(folder, 'lift')
    with raises('engine-json-changed', 'no checksum', 'viva export'):
        stamp(folder)


@pytest.mark.parametrize('name', [
    'calibration_pass.json', 'model.json', 'model.safetensors', 'engine.plan', 'other.onnx',
    'weights.data', 'engine.onnx.data', 'extra.bin',
])  # fmt: skip
def test_file_that_decides_and_is_not_listed_is_refused(
    make_engine: MakeEngine, name: str
) -> None:
    folder = make_engine()
    (folder / name).write_text('{}')
    (folder / 'README.md').write_text('decides nothing')
    with raises('engine-file-unlisted', folder, name, 'viva stamp', 'move it away'):
        load(folder, 'lift')
    if not name.startswith('calibration'):
        stamp(folder)
    else:
        (folder / name).unlink()
    load(folder, 'lift').close()


def test_calibration_copied_by_hand_is_refused_until_stamped(make_engine: MakeEngine) -> None:
    folder = make_engine()
    path = calibration_file(folder, 'lift')
    path.write_text(calibration().to_json())
    with raises('engine-file-unlisted', 'calibration_lift.json') as caught:
        read_calibration(path)
    assert main(remedy(str(caught.value))) == 0
    assert read_calibration(path) == calibration()


def test_stamp_names_what_it_does_not_list(
    make_engine: MakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_engine()
    (folder / 'notes\n.txt').write_text('of a person')
    (folder / 'link').symlink_to('engine.onnx')
    (folder / 'old').mkdir()
    assert main(['stamp', str(folder)]) == 0
    listed, _, others = capsys.readouterr().out.partition('not listed, and not read: ')
    assert 'engine.onnx' in listed and others == 'link, notes\\n.txt, old\n'
    load(folder, 'lift').close()


@pytest.mark.parametrize(
    'text', [calibration(engine='f' * 16).to_json(), '{', calibration().to_json()[:-3]]
)
def test_stamp_refuses_a_calibration_of_another_engine(make_engine: MakeEngine, text: str) -> None:
    folder = make_engine()
    path = calibration_file(folder, 'lift')
    path.write_text(text)
    with raises('stamp-calibration', path, 'move it out of the folder', 'viva calibrate'):
        stamp(folder)
    path.rename(folder.parent / path.name)  # the remedy
    stamp(folder)
    load(folder, 'lift').close()


@pytest.mark.parametrize('name', ['engine.onnx', 'model.safetensors'])
def test_stamp_refuses_changed_graph_and_weights(make_engine: MakeEngine, name: str) -> None:
    folder = make_engine()
    (folder / 'model.safetensors').write_bytes(b'weights')
    rewrite(folder, weights=hashlib.sha256(b'weights').hexdigest())
    stamp(folder)
    load(folder, 'lift').close()
    (folder / name).write_bytes(b'another')
    with raises('stamp-changed', folder / name, 'viva export'):
        stamp(folder)
    with raises('stamp-no-engine', folder.parent, 'engine.json'):
        stamp(folder.parent)


@pytest.mark.parametrize('content', [b'{}', b'changed'])
def test_changed_calibration_is_refused(make_engine: MakeEngine, content: bytes) -> None:
    folder = make_engine()
    path = calibration_file(folder, 'lift')
    save_calibration(calibration(), path)
    size = path.stat().st_size
    path.write_bytes(content.ljust(size))
    with raises('engine-hash', path, 'viva calibrate', 'viva stamp'):
        read_calibration(path)
    load(folder, 'lift').close()  # it decides nothing here, so that 'viva calibrate' can run
    save_calibration(calibration(), path)
    assert read_calibration(path) == calibration()


def test_file_of_another_size_is_not_even_hashed(make_engine: MakeEngine) -> None:
    folder = make_engine()
    with (folder / 'engine.onnx').open('r+b') as file:
        file.truncate(1 << 40)
    with raises('engine-hash', folder / 'engine.onnx', 1 << 40):
        load(folder, 'lift')


def test_calibration_replaces_no_other_file_of_the_engine(make_engine: MakeEngine) -> None:
    folder = make_engine()
    for name in ('engine.json', 'engine.onnx'):
        before = (folder / name).read_bytes()
        with raises('calibration-name', folder / name, '--out'):
            save_calibration(calibration(), folder / name)
        assert (folder / name).read_bytes() == before
    save_calibration(calibration(), folder / 'careful.json')
    assert read_calibration(folder / 'careful.json') == calibration()
    (folder / 'careful.json').write_text(calibration(0.3).to_json())
    with raises('engine-hash', 'careful.json'):
        read_calibration(folder / 'careful.json')


def test_calibration_outside_of_an_engine_is_checked_for_other_users(tmp_path: Path) -> None:
    path = tmp_path / 'up' / 'c.json'
    path.parent.mkdir()
    save_calibration(calibration(), path)
    assert read_calibration(path) == calibration()
    for place in (path, path.parent):
        place.chmod(place.stat().st_mode | 0o002)
        with raises('file-world-writable', place, 'chmod o-w'):
            read_calibration(path)
        place.chmod(place.stat().st_mode & ~0o002)
    (tmp_path / 'link.json').symlink_to(path)
    with raises('file-not-regular', tmp_path / 'link.json'):
        read_calibration(tmp_path / 'link.json')
    os.mkfifo(tmp_path / 'fifo.json')
    with raises('file-not-regular', tmp_path / 'fifo.json'):
        read_calibration(tmp_path / 'fifo.json')


KILLED = 9


@pytest.mark.parametrize('with_old', [True, False], ids=['replaced', 'new'])
def test_calibrate_killed_at_any_point_leaves_an_accepted_folder(
    make_engine: MakeEngine, with_old: bool
) -> None:
    """The process ends before or after each of its renames."""
    old, new = calibration(0.2), calibration(0.3)
    endings = []
    for step in range(8):
        folder = make_engine()
        path = calibration_file(folder, 'lift')
        path.unlink(missing_ok=True)
        shutil.rmtree(folder)
        folder = make_engine()
        if with_old:
            save_calibration(old, path)
        if (process := os.fork()) == 0:
            _save_and_die(new, path, step)
        _, status = os.waitpid(process, 0)
        endings.append(os.waitstatus_to_exitcode(status))
        load(folder, 'lift').close()
        if path.exists():
            assert read_calibration(path) in (old, new)
        else:
            assert not with_old and step < 4
            with raises('calibration-unreadable', "'viva calibrate'"):
                read_calibration(path)
        save_calibration(new, path)  # as the same command again
        assert read_calibration(path) == new
        assert read_manifest(folder).files[path.name].before == ''
    assert KILLED in endings and endings[-1] == 0


def _save_and_die(made: Calibration, path: Path, step: int) -> None:
    """In a process: end before (even) or after (odd) one of the renames."""
    replace_file, count = Path.replace, iter(range(100))

    def rename(self: Path, target: Path) -> Path:
        number = next(count)
        if step == 2 * number:
            os._exit(KILLED)
        done = replace_file(self, target)
        if step == 2 * number + 1:
            os._exit(KILLED)
        return done

    Path.replace = rename  # type: ignore[method-assign]
    try:
        save_calibration(made, path)
    finally:
        os._exit(0)


def test_two_calibrations_at_once_are_both_listed(make_engine: MakeEngine) -> None:
    folder = make_engine()
    children = []
    for number in range(6):
        if (process := os.fork()) == 0:
            try:
                save_calibration(calibration(), folder / f'calibration_{number}.json')
            finally:
                os._exit(0)
        children.append(process)
    for process in children:
        os.waitpid(process, 0)
    names = {f'calibration_{number}.json' for number in range(6)}
    assert names <= set(read_manifest(folder).files)


def external_graph(location: str) -> bytes:
    """Value = first joint + a weight that is outside of the graph; forecast = joints."""
    from onnx import TensorProto, helper

    weight = helper.make_tensor('weight', TensorProto.FLOAT, [1], np.zeros(1, np.float32))
    weight.ClearField('float_data')
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (('location', location), ('offset', '0'), ('length', '4')):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    node, info = helper.make_node, helper.make_tensor_value_info
    first = helper.make_tensor('first', TensorProto.INT64, [1], [0])
    nodes = [
        node('Gather', ['proprio', 'first'], ['column'], axis=1),
        node('Flatten', ['column'], ['flat'], axis=0), node('Squeeze', ['flat'], ['joint']),
        node('Add', ['joint', 'weight'], ['value']), node('Identity', ['proprio'], ['forecast']),
    ]  # fmt: skip
    floats = TensorProto.FLOAT
    made = helper.make_graph(
        nodes, 'external', [info('proprio', floats, [1, 2])],
        [info('value', floats, [1]), info('forecast', floats, [1, 2])], [first, weight],
    )  # fmt: skip
    opset = [helper.make_opsetid('', 20)]
    return bytes(helper.make_model(made, opset_imports=opset, ir_version=10).SerializeToString())


def weight_of(value: float) -> bytes:
    return np.array([value], np.float32).tobytes()


@pytest.fixture
def external(make_engine: MakeEngine) -> Path:
    """Return an engine whose only weight, .5, is in another file."""
    folder = make_engine(external_graph('weights'), cameras=())
    (folder / 'weights').write_bytes(weight_of(0.5))
    stamp(folder)
    return folder


def value_of(folder: Path) -> float:
    engine = load(folder, 'lift', 'onnx')
    return engine.estimate(Observation({}, {'left_waist': 0.25, 'right_waist': 0.0}, {})).value


def test_external_data_is_listed_and_read_from_the_folder(
    external: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')  # where a library would look
    Path('weights').write_bytes(weight_of(9.0))
    assert set(read_manifest(external).files) == {'engine.onnx', 'weights'}
    assert value_of(external) == 0.75
    (external / 'weights').write_bytes(weight_of(0.6))
    with raises('engine-hash', external / 'weights'):
        load(external, 'lift')
    (external / 'weights').unlink()
    with raises('engine-file-missing', external / 'weights'):
        load(external, 'lift')
    (external / 'weights').symlink_to(Path('weights').resolve())
    with raises('file-not-regular', external / 'weights'):
        load(external, 'lift')


def test_external_data_that_is_not_listed_is_refused(make_engine: MakeEngine) -> None:
    folder = make_engine(external_graph('weights'), cameras=())
    (folder / 'weights').write_bytes(weight_of(0.5))
    with raises('engine-file-unlisted', 'weights', 'viva stamp') as caught:
        load(folder, 'lift')
    assert main(remedy(str(caught.value))) == 0
    assert value_of(folder) == 0.75


@pytest.mark.parametrize('location', ['../weights', '/etc/hostname', 'a/b', '..', ''])
def test_external_data_outside_of_the_folder_is_refused(
    make_engine: MakeEngine, location: str
) -> None:
    with raises('graph-external-location', repr(location), 'onnx.save'):
        make_engine(external_graph(location), cameras=())
    folder = make_engine(cameras=())
    graph = external_graph(location)
    (folder / 'engine.onnx').write_bytes(graph)
    digest = hashlib.sha256(graph).hexdigest()
    rewrite(folder, sha256=digest, files={'engine.onnx': {'size': len(graph), 'sha256': digest}})
    with raises('graph-external-location', repr(location), 'onnx.save'):
        load(folder, 'lift')


def group(graph: bytes) -> bytes:
    """Append an unknown field of the former type group, which libraries skip."""
    return graph + bytes([0x9B, 0x06, 0x9C, 0x06])


def large_number(graph: bytes) -> bytes:
    """Write the number of the field 'graph' with a bit above 32, which libraries cut off."""
    from onnx import ModelProto

    model = ModelProto.FromString(graph)
    inner = model.graph.SerializeToString()
    model.ClearField('graph')
    size = bytes([len(inner) & 0x7F | 0x80, len(inner) >> 7])
    return bytes(model.SerializeToString()) + bytes([0xBA, 0x80, 0x80, 0x80, 0x10]) + size + inner


def no_text(graph: bytes) -> bytes:
    """Add a tensor for a training, which is not run, in a file whose name is no UTF-8."""
    from onnx import ModelProto

    model = ModelProto()
    entry = model.training_info.add().initialization.initializer.add().external_data.add()
    entry.key, entry.value = 'location', 'name'
    return graph + bytes(model.SerializeToString()).replace(b'name', b'\xff\xfe\xff\xfe')


def deep(graph: bytes) -> bytes:
    """Add a node with graphs in each other: libraries allow 100 levels of messages."""
    from onnx import GraphProto, ModelProto, helper

    inner = GraphProto()
    for _ in range(25):
        outer = GraphProto()
        outer.node.append(helper.make_node('If', ['c'], ['x'], then_branch=inner))
        inner = outer
    model = ModelProto()
    model.training_info.add().initialization.CopyFrom(inner)
    return graph + bytes(model.SerializeToString())


@pytest.mark.parametrize('disguise', [group, large_number, no_text, deep])
def test_external_data_that_only_a_library_sees_is_refused(
    make_engine: MakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    disguise: Callable[[bytes], bytes],
) -> None:  # fmt: skip
    """A library may read the file of that name in the working directory, unverified."""
    monkeypatch.chdir(tmp_path)
    Path('weights').write_bytes(weight_of(9.0))
    folder = make_engine(disguise(external_graph('weights')), cameras=())
    with raises('graph-unreadable', 'no ONNX model that can be checked', 'export it again'):
        load(folder, 'lift', 'onnx')


def test_external_data_is_refused_by_openvino(external: Path) -> None:
    pytest.importorskip('openvino')
    with raises('openvino-external-data', 'weights', 'engine_kind to onnx'):
        load(external, 'lift', 'openvino')
    assert value_of(external) == 0.75  # the remedy


def test_old_onnxruntime_is_named_for_external_data(
    external: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from viva_ros.engine.backends import onnx

    monkeypatch.setattr(onnx, 'IN_MEMORY', 'lacking')
    with raises('onnxruntime-external-data', external / 'engine.onnx', 'pip install'):
        load(external, 'lift', 'onnx')


@pytest.fixture
def two(make_engine: MakeEngine, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Return two engines whose values differ by 1."""
    folders = []
    for name, weight in (('one', 0.0), ('two', 1.0)):
        mark = ('a' if name == 'one' else 'b') * 16
        made = make_engine(external_graph('weights'), cameras=(), fingerprint=mark)
        (made / 'weights').write_bytes(weight_of(weight))
        stamp(made)
        made.rename(tmp_path / name)
        folders.append(tmp_path / name)
    yield folders[0], folders[1]


@pytest.mark.parametrize('name', ['engine.onnx', 'weights', 'engine.json'])
def test_file_exchanged_after_its_check_is_not_loaded(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Directly after the check of each file, it is exchanged for that of the other engine."""
    folder, other = two
    check = EngineFolder._check
    read_json = manifest.read_content

    def exchange(found: str) -> None:
        if found == name:
            shutil.copy(other / name, folder / 'new')
            (folder / 'new').rename(folder / name)

    def check_then_exchange(self: EngineFolder, found: str, file: object) -> None:
        check(self, found, file)
        exchange(found)

    monkeypatch.setattr(EngineFolder, '_check', check_then_exchange)
    monkeypatch.setattr(
        manifest, 'read_content', lambda file: (read_json(file), exchange('engine.json'))[0]
    )
    engine = load(folder, 'lift', 'onnx')
    joints = {'left_waist': 0.0, 'right_waist': 0.0}
    assert engine.info.fingerprint == 'a' * 16
    assert engine.estimate(Observation({}, joints, {})).value == 0.0
    assert (folder / name).read_bytes() == (other / name).read_bytes()


#: Module to the names with which it takes part in reading what decides.
READERS = {
    'core/detection/thresholds.py': {'parse_file'},  # the parser
    'engine/manifest.py': {'parse_file', 'model.json', 'model.safetensors'},
    'engine/manifest_schema.py': {'engine.json'},
    'engine/resources.py': {'engine.json'},  # to find folders; they are read by read_manifest
    'model/checkpoint.py': {'model.json', 'model.safetensors'},  # opened by EngineFolder
}


def test_all_readers_of_engines_and_calibrations_are_known() -> None:
    """A new reader uses ``EngineFolder`` or ``read_calibration``, or is added here."""
    found: dict[str, set[str]] = {}
    package = ROOT / 'viva_ros'
    for path in sorted(package.rglob('*.py')):
        tree = ast.parse(path.read_text(encoding='utf-8'))
        names = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names |= {node.value} & {'engine.json', 'model.json', 'model.safetensors'}
            if isinstance(node, ast.ImportFrom) and node.module == (
                'viva_ros.core.detection.thresholds'
            ):
                names |= {one.name for one in node.names} & {'load', 'parse_file'}
            if isinstance(node, ast.FunctionDef) and node.name == 'parse_file':
                names.add(node.name)
        if names:
            found[path.relative_to(package).as_posix()] = names
    assert found == READERS
    source = (package / 'engine' / 'resources.py').read_text(encoding='utf-8')
    assert 'json.load' not in source and 'read_text' not in source
