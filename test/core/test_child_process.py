# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import os
import subprocess
import sys
from pathlib import Path

import pytest

from viva_ros.core.child_process import child_environment, python_child, search_path


def test_child_has_safe_path_and_absolute_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    child = python_child('viva_ros.nodes', 'monitor', Path('engine'), 3, apart=True)
    assert child['args'] == [
        sys.executable, '-P', '-m', 'viva_ros.nodes', 'monitor', f'{tmp_path}/engine', '3'
    ]  # fmt: skip
    assert child['cwd'] == '/' and python_child('viva_ros.nodes')['cwd'] is None


@pytest.mark.parametrize(
    ('given', 'kept'),
    [
        ('', ''), (':', ''), ('.', ''), ('./', ''), ('../here', ''), (':/opt/a', '/opt/a'),
        ('/opt/a:', '/opt/a'), ('/opt/a::/opt/b:.', '/opt/a:/opt/b'), ('src:/b', '{}/src:/b'),
        ('{}:/b', '{}:/b'),
    ],
)  # fmt: skip
def test_search_path_loses_the_working_directory(monkeypatch, tmp_path, given, kept):
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    here = str(tmp_path / 'here')
    assert search_path(given.format(here)) == kept.format(here)


def test_environment_keeps_what_a_gpu_and_a_middleware_need():
    given = {
        'CUDA_VISIBLE_DEVICES': '1', 'NVIDIA_DRIVER_CAPABILITIES': 'all', 'HOME': '/home/x',
        'RMW_IMPLEMENTATION': 'rmw_zenoh_cpp', 'ZENOH_CONFIG_OVERRIDE': 'a=b', 'LANG': 'C',
        'LD_LIBRARY_PATH': ':/usr/local/cuda/lib64', 'PYTHONSTARTUP': 'x.py',
        'PYTHONINSPECT': '1', 'PYTHONPATH': ':',
    }  # fmt: skip
    safe = child_environment(given)
    assert safe['LD_LIBRARY_PATH'] == '/usr/local/cuda/lib64' and safe['PYTHONSAFEPATH'] == '1'
    gone = {'PYTHONSTARTUP', 'PYTHONINSPECT', 'PYTHONPATH'}
    assert set(safe) == set(given) - gone | {'PYTHONSAFEPATH'}
    assert all(safe[name] == given[name] for name in set(given) - gone - {'LD_LIBRARY_PATH'})


def test_child_runs_no_file_of_the_working_directory(monkeypatch, tmp_path):
    for name in ('argparse', 'gettext'):
        (tmp_path / f'{name}.py').write_text(f'open("marker_{name}", "w")\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PYTHONPATH', os.pathsep)
    monkeypatch.delenv('PYTHONSAFEPATH', raising=False)
    subprocess.run(**python_child('argparse'), check=True)
    assert not list(tmp_path.glob('marker_*'))
    subprocess.run([sys.executable, '-m', 'argparse'], check=True)
    assert list(tmp_path.glob('marker_*')), 'so the files are found without it'
