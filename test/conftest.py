# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Selection of tests if optional libraries are missing, and plugins with shared fixtures.

Builders are plain functions and classes in test/support. Fixtures of several folders are in the
plugins named here, all others in the conftest.py of their folder.

By default a missing library is an error. ``colcon test`` runs on the computer of a robot, with the
libraries of package.xml: it passes ``--skip-missing``, and each test file that needs another
library is skipped with a reason that names it.
"""

import os
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

pytest_plugins = ['support.fixtures', 'support.ros_fixtures', 'support.selection']

HERE: Final = Path(__file__).parent
#: Libraries of the tests only; those of viva_ros are in viva_ros.core.libraries.
OF_TESTS: Final = frozenset({'mcap_ros2', 'playwright', 'tokenizers'})


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--skip-missing', action='store_true',
        help='skip tests whose optional libraries are not installed, instead of failing',
    )  # fmt: skip
    parser.addoption(
        '--folders',
        metavar='A,B',
        default='',
        help='collect only these folders of test/ and the files in test/ itself',
    )


def pytest_configure(config: pytest.Config) -> None:
    # Hypothesis searches at random, in CI with a fixed seed; without a time limit.
    settings.register_profile('viva_ros', deadline=None, derandomize='CI' in os.environ)
    settings.load_profile('viva_ros')
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # of processes that tests start
    sys.path.append(str(HERE.parent))  # benchmarks, scripts; last: an installed viva_ros is first
    config.stash[SKIPPED] = {}
    wanted = chosen(config)
    missing = [name for name in wanted if not (HERE / name).is_dir()]
    if missing:
        known = sorted(path.name for path in HERE.iterdir() if any(path.rglob('test_*.py')))
        raise pytest.UsageError(f'--folders has {missing}, must be of {", ".join(known)}')


SKIPPED: Final = pytest.StashKey[dict[Path, str]]()


def chosen(config: pytest.Config) -> list[str]:
    """Return the folders of test/ to collect; empty for all."""
    return [name for name in config.getoption('--folders').split(',') if name]


def missing_library(error: BaseException | None) -> str:
    """
    Return the name of the optional library that an import lacks, else ''.

    :param error: error of the import, or an error that it caused
    """
    from viva_ros.core.libraries import LIBRARIES

    if not isinstance(error, ModuleNotFoundError):
        error = error.__cause__ if error is not None else None
    if not isinstance(error, ModuleNotFoundError):
        return ''
    module = (error.name or '').partition('.')[0]
    return module if module in LIBRARIES or module in OF_TESTS else ''


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out folders that were not chosen, or whose conftest.py lacks a library."""
    if not collection_path.is_dir() or collection_path == HERE:
        return None
    wanted = chosen(config)
    if wanted and collection_path.parent == HERE and collection_path.name not in wanted:
        return True
    setup = collection_path / 'conftest.py'
    if config.getoption('--skip-missing') and setup.exists() and (reason := why_not(setup)):
        config.stash[SKIPPED][collection_path] = reason
        return True
    return None


def why_not(setup: Path) -> str:
    """Import a conftest.py; return the reason why it cannot be used, else ''."""
    spec = spec_from_file_location(f'probed_{setup.parent.name}', setup)
    assert spec is not None and spec.loader is not None
    try:
        spec.loader.exec_module(module_from_spec(spec))
    except ModuleNotFoundError as error:
        if library := missing_library(error):
            return f'{library} is not installed'
        raise
    except pytest.skip.Exception as skip:  # of importorskip, would skip the whole session
        return str(skip)
    return ''


class SkippedFile(pytest.Item):
    """Represents a test file that cannot be imported."""

    def __init__(self, *, reason: str, **options: Any) -> None:
        super().__init__(**options)
        self.reason = reason

    def runtest(self) -> None:
        pytest.skip(self.reason)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


class OptionalModule(pytest.Module):
    """Test file that may need a missing library."""

    def collect(self) -> Any:
        try:
            return list(super().collect())
        except self.CollectError as error:
            if library := missing_library(error.__cause__):
                reason = f'{library} is not installed'
                return [SkippedFile.from_parent(self, name=self.path.stem, reason=reason)]
            raise


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> pytest.Module | None:
    if not parent.config.getoption('--skip-missing'):
        return None
    return OptionalModule.from_parent(parent, path=module_path)


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add an item for each file of the folders left out because of a missing library."""
    for folder, why in config.stash[SKIPPED].items():
        reason = f'{folder.relative_to(HERE)}: {why}'
        for path in sorted(folder.rglob('test_*.py')):
            name = str(path.relative_to(HERE))  # the full path would import conftest.py
            item = SkippedFile.from_parent(session, name=name, path=HERE, reason=reason)
            items.append(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Skip a test that imports a missing library when it runs."""
    outcome = yield
    if not item.config.getoption('--skip-missing') or call.excinfo is None:
        return
    if library := missing_library(call.excinfo.value):
        report = outcome.get_result()  # type: ignore[attr-defined]
        report.outcome = 'skipped'
        report.longrepr = (str(item.path), 0, f'Skipped: {library} is not installed')
