# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""README.md: the Python example runs; links, pictures and scripts exist."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text(encoding='utf-8')
LINK = re.compile(r'\]\((?!https?:)([^)#\s]+)')
LARGEST_PICTURE = 1_500_000  # bytes


def example() -> str:
    """Return the Python block of the README."""
    (block,) = re.findall(r'^```python\n(.*?)^```$', README, re.DOTALL | re.MULTILINE)
    return block


def test_python_example_prints_value_and_forecast(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    variables: dict[str, object] = {}
    exec(compile(example(), 'README.md', 'exec'), variables)
    estimate, engine = variables['estimate'], variables['engine']
    assert -1.0 <= estimate.value <= 1.0
    assert set(estimate.forecast) == set(engine.info.joint_names)
    assert all(math.isfinite(position) for position in estimate.forecast.values())
    assert f'value {estimate.value:+.2f} in 1.0 s: ' in capsys.readouterr().out


def test_python_example_needs_neither_torch_nor_ros():
    check = "import sys; assert not {'torch', 'rclpy'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, '-c', f'{example()}\n{check}'], cwd=ROOT, check=True)


def test_readme_has_the_two_commands():
    assert '\n    ./scripts/demo ' in README
    assert '\n    ./scripts/test ' in README


@pytest.mark.parametrize('page', ['README.md', 'CONTRIBUTING.md', 'engines/README.md'])
def test_links_of_pages_outside_docs_lead_to_files(page: str):
    path = ROOT / page
    links = LINK.findall(path.read_text(encoding='utf-8'))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize('page', ['README.md', 'docs/index.md', 'SECURITY.md'])
def test_start_pages_lead_to_the_page_on_security(page: str):
    path = ROOT / page
    links = LINK.findall(path.read_text(encoding='utf-8'))
    assert ROOT / 'docs/security.md' in {(path.parent / link).resolve() for link in links}


def test_scripts_named_in_readme_exist():
    named = set(re.findall(r'\./(scripts/\w+)', README))
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []


def test_pictures_of_readme_are_small():
    for name in re.findall(r'!\[[^]]*\]\(([^)]+)\)', README):
        assert (ROOT / name).stat().st_size <= LARGEST_PICTURE, name
