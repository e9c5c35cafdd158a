# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RLDS and Zarr are refused with a converter, whose file is imported."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.errors import raises
from support.examples import FOLDER, load_example
from support.hdf5_episodes import numbers_of
from support.lerobot_datasets import NAMES
from support.rlds import NAME, write_rlds

from viva_ros.cli.import_ import main
from viva_ros.core.errors import VivaError
from viva_ros.data.open import find, open_recording
from viva_ros.data.segmentation import episodes_of

pytestmark = pytest.mark.medium


def command_in(text: str) -> list[str]:
    """Return the command that an error proposes, with this Python."""
    (found,) = re.findall(r'run "python3 (.*?)" of viva_ros', text)
    return [sys.executable, *shlex.split(found)]


def test_remedy_for_rlds_makes_a_file_that_is_imported(tmp_path: Path) -> None:
    folder = write_rlds(tmp_path / 'drawer/1.0.0', [7, 5])
    with raises('recordings-missing', f'{folder} is an RLDS dataset') as error:
        find([tmp_path / 'drawer'])
    done = subprocess.run(
        command_in(str(error.value)), cwd=FOLDER.parent, capture_output=True, text=True, check=True
    )
    assert 'steps/observation/image_1 is left out of an episode' in done.stdout
    converted = tmp_path / 'drawer/1.0.0.converted.hdf5'
    with h5py.File(converted) as file:
        assert file['data/demo_1/offset'][()].tolist() == [-3] * 5
        assert file['data/demo_1'].attrs['file_path'] == '/raw/1'
    (tmp_path / 'map.yaml').write_text(
        f'source_rate: 5\nlabel: {{column: reward}}\n'
        f'joints: [{{path: observation/state, names: [{", ".join(NAMES)}]}}]\n'
    )
    out = tmp_path / 'set'
    assert main([str(converted), '--map', str(tmp_path / 'map.yaml'), '--out', str(out)]) == 0
    episodes = [episodes_of(open_recording(path))[0] for path in find([out])]
    assert [numbers_of(one.cameras['image_0'].images) for one in episodes] == [
        list(range(7)), list(range(7, 12)),
    ]  # fmt: skip
    np.testing.assert_allclose(episodes[1].joints.positions[:, 0], np.arange(7.0, 12.0))
    labels = [one.label for one in episodes]
    assert [one and (one.task, one.success) for one in labels] == [('open the drawer', True)] * 2


def test_file_of_rlds_is_refused_with_the_converter(tmp_path: Path) -> None:
    folder = write_rlds(tmp_path / '1.0.0', [3])
    with pytest.raises(VivaError, match='part of an RLDS dataset') as error:
        open_recording(folder / NAME)
    assert command_in(str(error.value))[1:] == [
        'examples/rlds_to_hdf5.py', str(folder), f'{folder}.converted.hdf5',
    ]  # fmt: skip
    (folder / NAME).write_text('version https://git-lfs.github.com/spec/v1\n')
    with raises('recordings-missing', folder / NAME, 'git lfs pull'):
        find([folder])


@pytest.mark.parametrize(
    'form', ['truncated', 'one bit', 'no split', 'no features', 'other length']
)
def test_rlds_in_doubt_is_not_converted(tmp_path: Path, form: str) -> None:
    without = 'steps/observation/state' if form == 'other length' else ''
    folder = write_rlds(tmp_path / '1.0.0', [3], without)
    module = load_example('rlds_to_hdf5.py')
    expected = {
        'truncated': 'damaged or truncated', 'one bit': 'damaged or truncated',
        'no split': "no split 'validation'.*drawer-train",
        'no features': 'features.json', 'other length': 'reshape|different numbers',
    }  # fmt: skip
    if form == 'truncated':
        (folder / NAME).write_bytes((folder / NAME).read_bytes()[:-40])
    if form == 'one bit':
        content = bytearray((folder / NAME).read_bytes())
        content[content.index(b'steps/observation/state') + 40] ^= 1
        (folder / NAME).write_bytes(content)
    if form == 'no features':
        (folder / 'features.json').unlink()
    split = 'validation' if form == 'no split' else 'train'
    with pytest.raises(ValueError, match=expected[form]):
        module.convert(folder, tmp_path / 'out.hdf5', split)
    assert {one.name for one in tmp_path.iterdir()} == {'1.0.0'}


def test_rlds_of_another_type_is_left_out(tmp_path: Path) -> None:
    folder = write_rlds(tmp_path / '1.0.0', [3])
    described = (folder / 'features.json').read_text()
    described = described.replace('["48", "80", "3"]}, "dtype": "uint8"',
                                  '["48", "80", "1"]}, "dtype": "float32"', 1)  # fmt: skip
    described = described.replace('["4"]}, "dtype": "float32"', '["4"]}, "dtype": "bfloat16"')
    (folder / 'features.json').write_text(described)
    _, notes = load_example('rlds_to_hdf5.py').convert(folder, tmp_path / 'out.hdf5', 'train')
    left_out = {note.partition(' ')[0]: note for note in notes}
    assert 'no colour image of 8 bits' in left_out['steps/observation/image_0']
    assert 'are bfloat16' in left_out['steps/observation/state']
    with h5py.File(tmp_path / 'out.hdf5') as file:
        assert 'observation' not in file['data/demo_0']


#: Stands for the library in the process of the converter: arrays of the store as .npy files.
ZARR = """\
from pathlib import Path
import numpy as np

class Array(np.ndarray):
    attrs = {}

class Group:
    attrs = {}
    def __init__(self, path):
        self.path = Path(path)
    def arrays(self):
        return [(p.stem, np.load(p).view(Array)) for p in sorted(self.path.glob('*.npy'))]
    def groups(self):
        return [(p.name, Group(p)) for p in sorted(self.path.iterdir()) if p.is_dir()]

def open_group(path, mode):
    return Group(path)
"""


def write_store(root: Path, ends: list[int]) -> Path:
    (root / 'data').mkdir(parents=True)
    (root / 'meta').mkdir()
    (root / '.zgroup').write_text('{"zarr_format": 2}')
    np.save(
        root / 'data/img.npy', np.arange(9 * 48 * 80 * 3, dtype=np.uint8).reshape(9, 48, 80, 3)
    )
    np.save(root / 'data/state.npy', np.arange(18.0).reshape(9, 2))
    np.save(root / 'meta/episode_ends.npy', np.array(ends))
    return root


def test_remedy_for_zarr_makes_a_file_with_its_episodes(tmp_path: Path) -> None:
    root = write_store(tmp_path / 'buffer.zarr', [4, 9])
    (tmp_path / 'zarr.py').write_text(ZARR)
    with raises('recordings-missing', f'{root} is a Zarr store') as error:
        find([root])
    call = {'cwd': FOLDER.parent, 'capture_output': True, 'text': True}
    known = {'env': {'PYTHONPATH': str(tmp_path)}}
    done = subprocess.run(command_in(str(error.value)), **call, **known)
    assert (done.returncode, done.stderr) == (0, '')
    with h5py.File(f'{root}.converted.hdf5') as file:
        assert list(file['data']) == ['demo_0', 'demo_1']
        assert file['data/demo_1/state'][:, 0].tolist() == [8.0, 10.0, 12.0, 14.0, 16.0]
        images = np.load(root / 'data/img.npy')
        np.testing.assert_array_equal(file['data/demo_1/img'][()], images[4:])
    np.save(root / 'meta/episode_ends.npy', np.array([4, 8]))
    done = subprocess.run(command_in(str(error.value)), **call, **known)
    assert done.returncode == 1 and 'exists: delete it' in done.stderr  # nothing is overwritten
    Path(command_in(str(error.value))[-1]).unlink()
    done = subprocess.run(command_in(str(error.value)), **call, **known)
    assert done.returncode == 1 and 'episode_ends is up to 8' in done.stderr


@pytest.mark.parametrize(
    ('ends', 'rate', 'library', 'expected'),
    [
        ([], None, ZARR, 'episode_ends is [], must be ascending'),
        ([4, 4, 9], None, ZARR, 'episode_ends is [4, 4, 9], must be ascending'),
        ([4, 9], 10.0, ZARR, "does not fit the shapes {'data/rate': ()}"),
        ([4, 9], None, 'raise ModuleNotFoundError("no zarr")', 'no zarr: run "pip install zarr"'),
    ],
)
def test_zarr_that_cannot_be_converted_has_a_reason(
    tmp_path: Path, ends: list[int], rate: float | None, library: str, expected: str
) -> None:
    root = write_store(tmp_path / 'buffer.zarr', ends)
    if rate is not None:
        np.save(root / 'data/rate.npy', np.array(rate))
    (tmp_path / 'zarr.py').write_text(library)
    command = [sys.executable, str(FOLDER / 'zarr_to_hdf5.py'), str(root), str(tmp_path / 'a.h5')]
    done = subprocess.run(
        command, env={'PYTHONPATH': str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and expected in done.stderr
    assert 'Traceback' not in done.stderr and not (tmp_path / 'a.h5').exists()
