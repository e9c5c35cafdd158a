# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva train`: learn the frames, then motion, then value (METHOD, 2 and 3).

Three stages: the VAE on single frames; the transformer as a generator of video; ViVa from there.
A run that was stopped goes on where it was when started again with the same arguments.
"""

import argparse
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.files import write_atomically
from viva_ros.core.normalize import JointRanges
from viva_ros.model import checkpoint
from viva_ros.model.config import ViVaConfig
from viva_ros.model.presets import PRESETS
from viva_ros.model.proprio import ProprioModel
from viva_ros.model.viva import ViVa
from viva_ros.offline import held_out, stages
from viva_ros.offline.cache import Data
from viva_ros.offline.command import command_line
from viva_ros.offline.plan import Plan, Run, plan
from viva_ros.offline.trainer import Stage
from viva_ros.offline.training.material import gather

CLIP_SPACING: Final = 0.4  # s between the frames of a clip
FIRST_LOGVAR: Final = 6.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    if args.threads < 1:
        raise ConfigurationError(f'threads is {args.threads}, must be at least 1')
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    lengths = {name: getattr(args, f'{name}_steps') for name in asdict(Plan())}
    run = Run(
        tuple(args.recordings), args.out, args.preset, args.seed, plan(args.batch, lengths),
        args.cache or args.out / 'cache', args.threads,
        cameras=tuple(args.cameras), tasks=tuple(args.tasks),
    )  # fmt: skip
    train(run)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva train', description=__doc__)
    parser.add_argument(
        '--recordings', type=Path, nargs='+', required=True, help='folders of recordings'
    )
    parser.add_argument('--out', type=Path, required=True, help='folder of the run')
    parser.add_argument('--preset', default='small', choices=sorted(PRESETS))
    parser.add_argument(
        '--cameras', nargs='+', default=(), help="in the order of the model's views; default: all"
    )
    parser.add_argument('--tasks', nargs='+', default=(), help='to learn; default: all')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument('--threads', type=int, default=1, help='default: %(default)s')
    parser.add_argument('--cache', type=Path, help='default: OUT/cache')
    parser.add_argument('--batch', type=int, help='of all stages; default: as planned')
    for name, schedule in asdict(Plan()).items():
        parser.add_argument(f'--{name}-steps', type=int, default=schedule['steps'])
    return parser.parse_args(argv)


def train(run: Run) -> ViVa:
    """
    Run all stages and write ``checkpoint/`` and the baseline's ``proprio/`` into the run's folder.

    :raises RecordingError: if recordings cannot be read
    :raises ConfigurationError: if a camera or task asked for is not in them
    """
    material = gather(run)
    return train_on(run, material.learn, material.hold, material.blank)


def train_on(run: Run, learn: Data, hold: Data | None, blank: ViVaConfig) -> ViVa:
    """
    Run all stages on data at hand.

    :param blank: configuration without tasks
    """
    run.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(run.seed)
    config = replace(blank, tasks=learn.tasks)
    ranges = JointRanges.of(config.joint_names, [learn.proprio, learn.future])
    model = ViVa(config, ranges)
    model.vae.to(memory_format=torch.channels_last)
    _describe(run, config, learn, hold)
    train_vae(run, model, learn)
    raw = _latents(run, model, learn, 'train')
    stages.set_statistics(model, raw)
    train_video(run, model, learn, raw)
    final = train_viva(run, model, learn, hold)
    checkpoint.write(run.out / 'checkpoint', model, _provenance(run, learn, final))
    train_proprio(run, config, ranges, learn, hold)
    return model.eval()


def train_vae(run: Run, model: ViVa, learn: Data) -> None:
    """Stage 1: single frames."""
    with torch.no_grad():  # drawn latents begin near their means, or the decoder sees only noise
        model.vae.quant_conv.bias[model.config.vae.z_dim :] -= FIRST_LOGVAR
    loss = stages.VaeLoss(model, learn, run.augment)
    Stage('vae', model.vae, run.plan.vae, run.out, run.seed, loss).run()


def train_video(run: Run, model: ViVa, learn: Data, raw: NDArray[np.float16]) -> None:
    """Stage 2: motion."""
    loss = stages.VideoLoss(model, learn, raw, clip_spacing(learn))
    Stage('video', model.transformer, run.plan.video, run.out, run.seed + 1, loss).run()


def clip_spacing(data: Data) -> int:
    """Give the moments from one frame of a clip to the next."""
    within = np.diff(data.episode) == 0
    if not within.any():
        return 1
    between = float(np.median(np.diff(data.stamps)[within])) * 1e-9  # s
    return max(1, round(CLIP_SPACING / between))


def train_viva(run: Run, model: ViVa, learn: Data, hold: Data | None) -> dict[str, float]:
    """Stage 3: future proprioception and value; gives the held-out figures."""
    labels = stages.Labels.of(learn, model, model.config.tasks)
    loss = stages.ViVaLoss(model, learn, labels, run.augment)
    held_raw = None if hold is None else _latents(run, model, hold, 'validation')

    def measure() -> dict[str, float]:
        if hold is None or held_raw is None:
            return {}
        held_labels = stages.Labels.of(hold, model, model.config.tasks)
        return held_out.figures(hold, *held_out.predict(model, held_raw, held_labels))

    stage = Stage(
        'viva', model.transformer, run.plan.viva, run.out, run.seed + 2, loss, measure
    )  # fmt: skip
    stage.run()
    model.eval()
    return measure()


def train_proprio(
    run: Run, config: ViVaConfig, ranges: JointRanges, learn: Data, hold: Data | None
) -> None:
    """Train the baseline and write it."""
    torch.manual_seed(run.seed)
    tasks = config.tasks
    model = ProprioModel(ranges, len(tasks))
    labels = stages.Labels.of(learn, model, tasks)
    loss = stages.ProprioLoss(model, labels, run.augment)
    Stage('proprio', model, run.plan.proprio, run.out, run.seed + 3, loss).run()
    model.eval()
    final = {}
    if hold is not None:
        joints = torch.from_numpy(hold.proprio)
        task = torch.from_numpy(hold.task_index(tasks))
        given = held_out.in_batches(lambda rows: model(joints[rows], task[rows]), len(joints))
        final = held_out.figures(hold, *given)
    content = {
        'kind': 'proprio', 'ranges': ranges.to_dict(), 'tasks': list(tasks),
        'horizon': config.horizon, 'provenance': _provenance(run, learn, final),
    }  # fmt: skip
    checkpoint.write_weights(run.out / 'proprio', model, content)


def _latents(run: Run, model: ViVa, data: Data, part: str) -> NDArray[np.float16]:
    """Encode all views once; a run that goes on finds them on disk."""
    path = run.out / f'latents_{part}.npy'
    if not path.is_file():
        raw = stages.encode_all(model, data)
        temporary = path.with_suffix('.part.npy')
        np.save(temporary, raw)
        temporary.replace(path)
    return np.load(path, mmap_mode='r')


def _describe(run: Run, config: ViVaConfig, learn: Data, hold: Data | None) -> None:
    """Write what the run is, beside its curve."""
    content = {
        'config': config.to_dict(), 'plan': asdict(run.plan), 'augment': asdict(run.augment),
        'seed': run.seed, 'train': len(learn.labels), 'moments': len(learn.images),
        'validation': [] if hold is None else [label['name'] for label in hold.labels],
    }  # fmt: skip
    write_atomically(run.out / 'run.json', json.dumps(content, indent=1))


def _provenance(run: Run, learn: Data, final: Mapping[str, float]) -> dict[str, Any]:
    libraries = {name: version(name) for name in ('torch', 'diffusers', 'numpy')}
    return {
        'command': command_line('train'),
        'seed': run.seed, 'plan': asdict(run.plan), 'augment': asdict(run.augment),
        'episodes': len(learn.labels), 'moments': len(learn.images),
        'successes': sum(bool(label['success']) for label in learn.labels),
        'episode_seeds': sorted({label['seed'] for label in learn.labels if label['seed']}),
        'held_out': dict(final), 'python': platform.python_version(), 'libraries': libraries,
    }  # fmt: skip


if __name__ == '__main__':
    raise SystemExit(main())
