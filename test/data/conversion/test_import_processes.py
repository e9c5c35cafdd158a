# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Import in several processes: the same dataset, and nothing lost if one is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.foreign_robot import write_bag

pytestmark = pytest.mark.medium


def command(bags: Path, map_file: Path, out: Path, processes: int) -> list[str]:
    return [
        sys.executable, '-P', '-m', 'viva_ros.cli.main', 'import', str(bags),
        '--map', str(map_file), '--out', str(out), '--processes', str(processes),
    ]  # fmt: skip


def content(out: Path) -> dict[str, bytes]:
    """Return all files; without the command in the report."""
    files = [path for path in sorted(out.rglob('*')) if path.is_file()]
    found = {str(path.relative_to(out)): path.read_bytes() for path in files}
    report = found['viva/import.json'].splitlines()
    return {**found, 'viva/import.json': b'\n'.join(x for x in report if b'"command"' not in x)}


def write_bags(folder: Path, count: int, seconds: float = 1.0) -> Path:
    for n in range(count):
        size = (64, 96) if n == 1 else (64, 80)  # the others refuse its shape
        write_bag(folder / f'b{n}', seed=n, success=n != 2, seconds=seconds, size=size)
    return folder


def test_processes_import_the_same_bytes_in_order(tmp_path: Path, map_file: Path) -> None:
    bags = write_bags(tmp_path / 'bags', 4)
    os.truncate(bags / 'b3/b3.db3', 100)
    shown = {}
    for processes in (1, 3):
        done = subprocess.run(
            command(bags, map_file, tmp_path / f'set_{processes}', processes),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        shown[processes] = done.stdout.replace(f'set_{processes}', 'set')
    assert shown[1] == shown[3]
    assert shown[1].index('b1') < shown[1].index('b3')
    assert content(tmp_path / 'set_1') == content(tmp_path / 'set_3')


def test_script_without_main_guard_imports_in_processes(tmp_path: Path, map_file: Path) -> None:
    bags = write_bags(tmp_path / 'bags', 3)
    script, out = tmp_path / 'script.py', tmp_path / 'set'
    arguments = command(bags, map_file, out, 2)[4:]
    script.write_text(
        'import sys\nfrom viva_ros.cli.main import main\n'
        f'print(main({arguments!r}), __file__, __spec__)\n'
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f'\n2 {script} None\n')  # one bag has images of another size
    assert len(content(out)) > 3


def whole_units(folder: Path) -> list[str]:
    """Return the imported recordings, without those that are being written."""
    return [p.parent.name for p in folder.glob('*/unit.json') if p.parent.suffix != '.tmp']


def children_of(process: int) -> list[int]:
    """Return the worker processes; the resource tracker of multiprocessing is none."""
    text = Path(f'/proc/{process}/task/{process}/children').read_text()
    return [
        int(one) for one in text.split()
        if b'spawn_main' in Path(f'/proc/{one}/cmdline').read_bytes()
    ]  # fmt: skip


@pytest.mark.slow
def test_killed_worker_is_named_and_the_import_goes_on(tmp_path: Path, map_file: Path) -> None:
    bags, out = write_bags(tmp_path / 'bags', 5, seconds=4.0), tmp_path / 'set'
    process = subprocess.Popen(
        command(bags, map_file, out, 2), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    folder = tmp_path / '.set.part'
    while process.poll() is None and not whole_units(folder):
        time.sleep(0.01)
    os.kill(children_of(process.pid)[0], signal.SIGKILL)
    text = process.communicate()[1]
    assert process.returncode == 2
    assert 'Traceback' not in text
    assert 'run the same command again' in text
    assert whole_units(folder)
    assert not out.exists()
    assert not list(folder.glob('*.tmp'))
    again = subprocess.run(command(bags, map_file, out, 2), capture_output=True, check=False)
    assert again.returncode == 2, again.stderr  # one bag has images of another size
    whole = tmp_path / 'whole'
    subprocess.run(command(bags, map_file, whole, 1), capture_output=True, check=False)
    assert content(out) == content(whole)


@pytest.mark.parametrize('number', ['0', '-1', 'two'])
def test_invalid_number_of_processes_is_refused(tmp_path: Path, number: str) -> None:
    from viva_ros.cli.import_ import parse

    with pytest.raises(SystemExit):
        parse([str(tmp_path), '--out', str(tmp_path / 'set'), f'--processes={number}'])
