# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Malformed inputs end in a refusal, in every reader: those of past crashes, and some new ones.

Readers of small inputs get more of the new ones. `scripts/fuzz` runs them for hours.
"""

import random
from pathlib import Path

import pytest

from fuzz import driver, mutation, session
from fuzz.known import KNOWN
from fuzz.recording_targets import RECORDINGS
from fuzz.target import Target
from fuzz.targets import TARGETS
from viva_ros.core.errors import InputError
from viva_ros.data.formats import FORMATS

FILES, OTHERS = 3, 40  # new inputs of each reader of recordings, and of each other one
CORPUS = Path(__file__).parent / 'corpus'
LARGEST = 1 << 20  # bytes of the corpus
CRASHES = sorted(path for path in CORPUS.glob('*/*') if path.is_file())
pytestmark = pytest.mark.medium


def told(found: driver.Findings) -> list[str]:
    """Return the crashes that are not known."""
    return [f'{name}: {signature}\n{crash.text}'
            for (name, signature), (crash, _) in found.crashes.items()
            if signature not in KNOWN.get(name, {})]  # fmt: skip


@pytest.fixture(scope='module')
def repeated(tmp_path_factory: pytest.TempPathFactory) -> driver.Findings:
    """Return what comes of the inputs of past crashes, in processes that they may end."""
    return driver.repeat(CRASHES, tmp_path_factory.mktemp('repeated'))


def test_inputs_of_past_crashes_are_refused(repeated):
    assert CRASHES and told(repeated) == []


def test_known_crashes_still_occur(repeated):
    listed = {(name, signature) for name, rows in KNOWN.items() for signature in rows}
    assert listed - repeated.crashes.keys() == set(), 'mended: delete them from fuzz/known.py'


@pytest.mark.timeout(600)
def test_changed_inputs_are_read_or_refused(tmp_path):
    files = driver.run(list(RECORDINGS), tmp_path, seed=1, count=FILES)
    others = driver.run([n for n in TARGETS if n not in RECORDINGS], tmp_path, 1, OTHERS)
    assert files.summaries.keys() | others.summaries.keys() == TARGETS.keys()
    assert sum(one.refused for one in others.summaries.values()) > len(TARGETS)
    assert told(files) + told(others) == []


def test_every_recording_format_has_a_target():
    names = {
        'lerobot': 'lerobot_info',
        'hdf5': 'hdf5',
        'bag': 'mcap',
        'video_folder': 'folder_csv',
    }
    assert names.keys() == set(FORMATS) and set(names.values()) <= TARGETS.keys()


def test_corpus_is_small_and_of_known_targets():
    assert sum(path.stat().st_size for path in CRASHES) < LARGEST
    assert {path.parent.name for path in CRASHES} <= TARGETS.keys()


class Broken:
    """Reads by failing in a chosen way."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __call__(self, data: bytes, folder: Path) -> None:
        match self._what:
            case 'refusal':
                raise InputError('x', 'x')
            case 'traceback':
                raise KeyError('x')
            case 'memory':
                bytearray(session.MEMORY + (1 << 27))


@pytest.mark.parametrize(
    ('what', 'signature'),
    [('refusal', None), ('traceback', 'KeyError in the target'), ('memory', 'memory in x')],
)
def test_failures_of_readers_are_told(tmp_path, what, signature):
    target = Target('x', lambda folder: [b''], Broken(what))
    crash, is_refused = session.Session(tmp_path).check('x', target, b'abc')
    assert (crash and crash.signature) == signature
    assert is_refused == (what == 'refusal')


def test_death_of_a_process_names_the_function():
    said = 'exit code -11\nFatal Python error\n\nCurrent thread 0x7f (most recent call first):\n'
    said += '  File "/x/site-packages/av/x.py", line 3 in decode\n'
    said += '  File "/x/viva_ros/data/video_folder.py", line 425 in _is_grey_depth\n'
    assert driver.death('a', said).signature == 'SIGSEGV in data.video_folder._is_grey_depth'


def test_same_seed_gives_the_same_inputs(tmp_path):
    target = TARGETS['urdf']
    seeds = session.seeds_of('urdf', target, tmp_path)

    def first(seed: int) -> list[bytes]:
        made = session.cases('urdf', seeds, target, seed, 0)
        return [next(made) for _ in range(20)]

    assert first(3) == first(3) != first(4)


def test_mutated_mcap_keeps_whole_records():
    records = [(1, b'head'), (5, b'message'), (15, b'end')]
    data = mutation.MAGIC + mutation.write_records(records) + mutation.MAGIC
    whole = 0
    for seed in range(200):
        found = mutation.of_mcap(data, random.Random(seed))
        inner = found[len(mutation.MAGIC) : -len(mutation.MAGIC)]
        whole += mutation.write_records(mutation.read_records(inner)) == inner
    assert whole > 100
