# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare an imported dataset as LeRobot and as this package read it; see scripts/lerobot.

``write`` runs in the environment of the project, ``compare`` in one with LeRobot.
"""

import json
import sys
from pathlib import Path

import numpy as np

LEVELS = 1  # of 255; two libraries convert the colours of a video
ROWS = 'expected.npz'


def write(folder: Path) -> None:
    """Import two bags, write their outcomes into the dataset, and store what it has."""
    from support.foreign_robot import MAP, write_bag
    from viva_ros.cli.import_ import main as import_bags
    from viva_ros.cli.label import main as label
    from viva_ros.data.open import find, open_recording
    from viva_ros.data.segmentation import episodes_of

    for number, success in enumerate((True, False)):
        write_bag(folder / f'bags/b{number}', seconds=2.0, seed=number, success=success)
    (folder / 'map.yaml').write_text(MAP, encoding='utf-8')
    root = folder / 'set'
    assert import_bags([
        str(folder / 'bags'), '--map', str(folder / 'map.yaml'), '--out', str(root)
    ]) == 0  # fmt: skip
    assert label([str(root), '--write-success']) == 0
    episodes = [episodes_of(open_recording(path))[0] for path in find([root])]
    found = {'positions': np.concatenate([one.joints.positions for one in episodes])}
    for camera in episodes[0].cameras:
        images = [image for one in episodes for image in one.cameras[camera].images]
        found[f'observation.images.{camera}'] = np.stack(images)
    np.savez(folder / ROWS, **found)
    described = {
        'names': list(episodes[0].joints.names),
        'lengths': [len(one.joints.stamps) for one in episodes],
        'outcomes': [one.label is not None and one.label.success for one in episodes],
        'task': episodes[0].label.task if episodes[0].label else '',
    }  # fmt: skip
    (folder / 'expected.json').write_text(json.dumps(described), encoding='utf-8')


def compare(folder: Path) -> None:
    """Read the dataset with LeRobot, and compare it with what was stored."""
    import lerobot
    import torch
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    rows, known = np.load(folder / ROWS), json.loads((folder / 'expected.json').read_text())
    dataset = LeRobotDataset('local/set', root=folder / 'set', video_backend='pyav')
    ends = np.cumsum(known['lengths'])
    assert len(dataset) == ends[-1] and dataset.num_episodes == len(ends)
    names = dataset.meta.features['observation.state']['names']
    columns = [known['names'].index(name) for name in names]
    largest = 0
    for episode, end in enumerate(ends):
        first = int(end) - known['lengths'][episode]
        for row in (first, first + 1, (first + int(end)) // 2, int(end) - 1):
            item = dataset[row]
            assert int(item['episode_index']) == episode and item['task'] == known['task']
            assert abs(float(item['timestamp']) * dataset.fps - (row - first)) < 1e-3
            expected = torch.tensor(rows['positions'][row, columns], dtype=torch.float32)
            torch.testing.assert_close(item['observation.state'], expected)
            is_end = row == end - 1 and known['outcomes'][episode]
            assert (
                item['next.success'].dtype == torch.bool and bool(item['next.success']) == is_end
            )
            for key in dataset.meta.video_keys:
                image = (item[key].permute(1, 2, 0).numpy() * 255.0).round().astype(int)
                largest = max(largest, int(np.abs(image - rows[key][row].astype(int)).max()))
    assert largest <= LEVELS, f'pixels differ by up to {largest} of 255'
    assert dataset.meta.stats['next.success']['max'].tolist() == [1.0]
    batch = next(iter(torch.utils.data.DataLoader(dataset, batch_size=len(dataset))))
    whole = batch['next.success'].reshape(-1).numpy()
    expected = [int(end) - 1 for end, one in zip(ends, known['outcomes'], strict=True) if one]
    assert np.flatnonzero(whole).tolist() == expected
    print(
        f'LeRobot {lerobot.__version__} reads {len(dataset)} frames of {len(ends)} episodes, '
        f'{len(names)} joints, {len(dataset.meta.video_keys)} cameras: pixels within {largest} of '
        '255, states, names, times, task and next.success equal'
    )


if __name__ == '__main__':
    {'write': write, 'compare': compare}[sys.argv[1]](Path(sys.argv[2]))
