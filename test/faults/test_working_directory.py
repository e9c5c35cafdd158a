# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Row 31 of the fault table: files of the working directory with the names of libraries.

Each leaves a marker when it is executed. The programs are started as users start them: the
installed command, a script in another folder.
"""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.foreign_robot import write_bag
from support.recordings import write_recording
from support.ros import PATIENCE, wait

from viva_ros.engine.resources import engine_folder

NAMES = (
    'argparse', 'random', 'socket', 'pickle', 'tempfile', 'json', 'numpy', 'torch', 'viva_ros',
    'rclpy', 'cv2', 'yaml', 'onnxruntime', 'openvino', 'mcap', 'mujoco', 'resource',
    'sitecustomize', 'av', 'pyarrow', 'rich', 'psutil', 'scipy', 'matplotlib', 'h5py',
)  # fmt: skip
ENTRY = 'from viva_ros.cli.main import main\n\nif __name__ == "__main__":\n    sys.exit(main())\n'


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """Enter a folder with the files; return it."""
    folder = tmp_path / 'trap'
    folder.mkdir()
    for name in NAMES:
        text = f'open({str(folder)!r} + "/marker_{name}", "w")\nraise ImportError("trap")\n'
        (folder / f'{name}.py').write_text(text)
    monkeypatch.chdir(folder)
    monkeypatch.delenv('PYTHONSAFEPATH', raising=False)
    return folder


def markers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob('marker_*'))


@pytest.fixture
def viva(tmp_path):
    """Return the command line of the installed program."""
    script = tmp_path / 'bin' / 'viva'
    script.parent.mkdir()
    script.write_text(f'import sys\n{ENTRY}')
    return [sys.executable, str(script)]


def run(*line: object) -> None:
    done = subprocess.run([*map(str, line)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nodes_and_engine_process_run_none_of_the_files(trap, viva, domain, said):
    """With an engine folder and a folder of the black box relative to the working directory."""
    Path('my_engine').symlink_to(engine_folder('', 'tray_lift'))
    with (trap / 'up.log').open('wb') as log:
        process = subprocess.Popen(
            [*viva, 'up', 'monitor', 'engine:=./my_engine', 'black_box_folder:=box'],
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:  # the engine is loaded before the monitor waits for its inputs
        wait(lambda: any('waiting for /' in text for text in said()), 'the engine', 2 * PATIENCE)
        wait((trap / 'box').is_dir, 'the black box')
        names = [child.cmdline() for child in psutil.Process(process.pid).children(recursive=True)]
        assert any(f'{trap}/my_engine' in line for line in names), names
    finally:
        process.terminate()
        process.wait(PATIENCE)
        print((trap / 'up.log').read_text(errors='replace')[-3000:])
    assert markers(trap) == []


def test_workers_of_score_run_none_of_the_files(trap, viva, small_engine):
    Path('recordings').mkdir()
    for number in range(3):
        write_recording(Path('recordings') / f'{number}.mcap', [0.1, 0.2, 0.3])
    Path('engine').symlink_to(small_engine)
    run(
        *viva, 'score', 'recordings', '--task', 'tray_lift', '--engine', 'engine', '--processes', 2
    )
    assert len(list(Path('recordings').glob('*_values.parquet'))) == 3
    assert markers(trap) == []


def test_measured_engine_processes_run_none_of_the_files(trap, viva):
    run(*viva, 'bench', '--kinds', 'onnx', '--rounds', 1, '--json')
    assert markers(trap) == []


def interrupted(*line: object, when: Callable[[list[psutil.Process]], bool]) -> str:
    """
    End a program by SIGINT when a condition on its children holds.

    :returns: its output
    """
    with Path('log').open('wb') as log:
        process = psutil.Popen([*map(str, line)], stdout=log, stderr=subprocess.STDOUT)
    output = Path('log').read_text

    def holds() -> bool:
        assert process.poll() is None, output()
        return when(process.children(recursive=True))

    try:
        wait(holds, 'its children')
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
    return output()


def has_loaded(process: psutil.Process, library: str) -> bool:
    try:
        return library in Path(f'/proc/{process.pid}/maps').read_text()
    except OSError:  # it has ended
        return False


@pytest.mark.medium
def test_workers_of_import_run_none_of_the_files(trap, viva, map_file):
    for number in range(2):
        write_bag(Path('bags') / f'{number}', seed=number, seconds=1.0)
    run(*viva, 'import', 'bags', '--map', map_file, '--out', 'dataset', '--processes', 2)
    assert Path('dataset/meta/info.json').is_file()
    assert markers(trap) == []


@pytest.mark.slow
def test_workers_of_record_run_none_of_the_files(trap, viva, simulator):
    """They are ended when both have loaded the simulator."""
    said = interrupted(
        *viva, 'record', '--seeds', '0-9', '--size', 16, '--processes', 2, '--out', 'recorded',
        when=lambda found: sum(has_loaded(child, 'libmujoco') for child in found) >= 2,
    )  # fmt: skip
    assert 'viva record: stopped' in said
    assert markers(trap) == []


@pytest.mark.slow
def test_nodes_of_the_demo_run_none_of_the_files(trap, viva, domain, simulator):
    """They are ended when robot and engine process have loaded their libraries."""

    def loaded(found: list[psutil.Process]) -> bool:
        robot = any(has_loaded(child, 'libmujoco') for child in found)
        return robot and any(
            has_loaded(child, 'libopenvino') or has_loaded(child, 'onnxruntime') for child in found
        )

    said = interrupted(*viva, 'demo', '--headless', '--out', 'demo', when=loaded)
    assert 'viva demo: stopped' in said
    assert markers(trap) == []


POOL = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from viva_ros.console.process_pool import spawn_context
if __name__ == '__main__':
    context = spawn_context() if sys.argv[1] == 'ours' else multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(2, context) as pool:
        print(list(pool.map(abs, [-1, -2])))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)  # a busy machine starts ray in minutes
def test_workers_of_ray_run_none_of_the_files(trap, viva, small_engine):
    pytest.importorskip('ray', reason='ray is not installed')
    Path('recordings').mkdir()
    write_recording(Path('recordings') / '0.mcap', [0.1, 0.2, 0.3])
    Path('engine').symlink_to(small_engine)
    task = ('--task', 'tray_lift', '--processes', 1)
    run(*viva, 'score', 'recordings', '--engine', 'engine', *task, '--ray')
    assert len(list(Path('recordings').glob('*_values.parquet'))) == 1
    assert markers(trap) == []


@pytest.mark.parametrize('context', ['ours', 'other'])
def test_pool_of_processes_runs_none_of_the_files(trap, tmp_path, context):
    """Multiprocessing alone starts python -c, which looks for modules in the folder first."""
    script = tmp_path / 'script.py'
    script.write_text(POOL)
    done = subprocess.run(
        [sys.executable, str(script), context], capture_output=True, text=True, check=False
    )
    if context == 'ours':
        assert (markers(trap), done.stdout) == ([], '[1, 2]\n'), done.stderr
    else:
        assert markers(trap)
