# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva train`: train the VAE, then the video generator, then the value model.

Three stages: the VAE on single frames; the transformer as a video generator; ViVa from its
weights. Published weights (--backbone) replace the first two. An interrupted or killed run
continues when it is started again with the same arguments.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from numpy.typing import NDArray

from viva_ros.console.progress import bar
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.normalize import JointRanges
from viva_ros.model import checkpoint, pretrained, text
from viva_ros.model.config import ViVaConfig
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.proprio import ProprioModel
from viva_ros.model.viva import ViVa
from viva_ros.training import checkpointing, losses, sources
from viva_ros.training.config import TrainConfig
from viva_ros.training.dataset import Data
from viva_ros.training.distributed import Workers, gather, is_sharded
from viva_ros.training.trainer import TrainStage

CLIP_SPACING: Final = 0.4  # s between the frames of a clip
FIRST_LOGVAR: Final = 6.0


def train(run: TrainConfig) -> ViVa | EarlyExit:
    """
    Run all stages; write ``checkpoint/`` and ``proprio/``, the baseline, to the run's folder.

    :raises RecordingError: if recordings cannot be read
    :raises ConfigurationError: if the configuration does not fit them, or the run to continue
    """
    workers = Workers(run.hardware)
    with workers.first_goes_ahead():
        material = sources.gather(run)
    model = train_on(run, material.learn, material.hold, material.blank)
    workers.close()
    return model


def train_on(
    run: TrainConfig, learn: Data, hold: Data | None, blank: ViVaConfig
) -> ViVa | EarlyExit:
    """
    Run all stages on data.

    :param learn: training moments
    :param hold: validation moments; None: no metrics
    :param blank: configuration without tasks
    """
    run = replace(run, plan=run.plan.settled(len(learn.images)))
    workers = Workers(run.hardware)
    run.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(run.seed)
    config = replace(blank, tasks=learn.tasks)
    ranges = JointRanges.of(config.joint_names, [track.joints for track in learn.tracks])
    model = begin_model(run, config, ranges)
    described = checkpointing.describe(run, model.config, learn, hold)
    with workers.first_goes_ahead():
        if workers.is_first:
            checkpointing.begin(run, described, workers)
    place(model, workers)
    if run.backbone is None:
        train_vae(run, model, learn)
        raw = losses.stored_latents(run, model, learn, 'train')
        losses.set_statistics(model, raw)
        train_video(run, model, learn, raw)
    final, made = train_value(run, model, learn, hold)
    if workers.is_first:
        about = checkpointing.provenance(run, learn, hold, final)
        checkpoint.write(run.out / 'checkpoint', made, about)
    workers.wait()
    train_proprio(run, config, ranges, learn, hold)
    return made.eval()


def begin_model(run: TrainConfig, config: ViVaConfig, ranges: JointRanges) -> ViVa:
    """
    Return a model with random weights, or those of a backbone.

    :raises ConfigurationError: if targets or head do not fit the preset
    """
    layers = config.transformer.num_layers
    if run.head > layers:
        raise ConfigurationError(
            'head-too-deep',
            f'head is {run.head}, must be at most {layers}, the blocks of preset {run.preset}',
        )
    if run.head and 'images' in run.targets:
        raise ConfigurationError(
            'head-with-images', 'targets has images, which a head does not predict: leave it out'
        )
    config = replace(config, targets=run.targets or config.targets)
    return first_model(run, config, ranges)


def first_model(run: TrainConfig, config: ViVaConfig, ranges: JointRanges) -> ViVa:
    """
    Return a model with the weights of the backbone, or random ones without a backbone.

    Frozen weights (under adapters or a head) are in the precision of the run, trained weights in
    float32.

    :raises EngineError: if backbone or embeddings cannot be read, or do not fit the preset
    :raises ConfigurationError: if a task has no embedding and the preset needs one
    """
    embeddings = None if run.embeddings is None else text.read(run.embeddings)
    if run.backbone is None:
        return ViVa(*_with_text(config, ranges, embeddings))
    frozen = bool(run.lora or run.head) and run.hardware.precision == 'bf16'
    dtype = torch.bfloat16 if frozen else torch.float32
    return pretrained.load(run.backbone, config, ranges, embeddings, dtype, _watch)


def _with_text(
    config: ViVaConfig, ranges: JointRanges, embeddings: text.Embeddings | None
) -> tuple[ViVaConfig, JointRanges, torch.Tensor]:
    config, rows = text.table(config, embeddings)
    return config, ranges, rows


def _watch(names: Sequence[str]) -> Iterable[str]:
    return bar(names, 'reading the backbone', len(names))


def place(model: ViVa, workers: Workers) -> None:
    """Move a model to the device, without the modules that their stage will shard."""
    for child in model.children():
        if not workers.is_spread(child):
            child.to(workers.device)
    for name, buffer in model.named_buffers(recurse=False):
        model.register_buffer(
            name, buffer.to(workers.device), name not in model._non_persistent_buffers_set
        )
    if workers.device.type == 'cuda':
        torch.backends.cuda.matmul.allow_tf32 = workers.hardware.precision == 'bf16'


def train_vae(run: TrainConfig, model: ViVa, learn: Data) -> None:
    """Stage 1: single frames."""
    if not run.plan.vae.steps:
        return
    prepare_vae(model)
    loss = losses.VaeLoss(model, learn, run.augment)
    workers = Workers(run.hardware)
    TrainStage('vae', model.vae, run.plan.vae, run.out, run.seed, loss, workers=workers).run()


def prepare_vae(model: ViVa) -> None:
    """Start with a small variance of the latents: otherwise the decoder sees only noise."""
    model.vae.to(memory_format=torch.channels_last)
    with torch.no_grad():
        model.vae.quant_conv.bias[model.config.vae.z_dim :] -= FIRST_LOGVAR


def train_video(run: TrainConfig, model: ViVa, learn: Data, raw: NDArray[np.float16]) -> None:
    """Stage 2: motion."""
    if not run.plan.video.steps:
        return
    loss = losses.VideoLoss(model, learn, raw, clip_spacing(learn))
    workers, seed = Workers(run.hardware), run.seed + 1
    _set_checkpointing(run, model)
    TrainStage(
        'video', model.transformer, run.plan.video, run.out, seed, loss, workers=workers
    ).run()


def clip_spacing(data: Data) -> int:
    """Return the number of moments from one frame of a clip to the next."""
    within = np.diff(data.episode) == 0
    if not within.any():
        return 1
    between = float(np.median(np.diff(data.stamps)[within])) * 1e-9  # s
    return max(1, round(CLIP_SPACING / between))


def _set_checkpointing(run: TrainConfig, model: ViVa) -> None:
    if run.hardware.checkpointing:
        model.transformer.enable_gradient_checkpointing()


def train_value(
    run: TrainConfig, model: ViVa, learn: Data, hold: Data | None
) -> tuple[dict[str, float], ViVa | EarlyExit]:
    """Stage 3: train the whole transformer, adapters, or a head on frozen blocks."""
    if run.head:
        head = EarlyExit.of(model, run.head)
        return _train_targets(run, head, head.head, learn, hold), head
    if run.lora:
        checkpointing.add(model.transformer, run.lora)
    final = train_viva(run, model, learn, hold)
    workers = Workers(run.hardware)
    if run.lora:
        if workers.is_first:
            checkpointing.write(run.out / 'checkpoint' / 'adapter', model.transformer, run.lora)
        checkpointing.merge(model.transformer)
    bring_back(model, workers)
    return final, model


def train_viva(run: TrainConfig, model: ViVa, learn: Data, hold: Data | None) -> dict[str, float]:
    """Train future proprioception and value; return the metrics on validation recordings."""
    _set_checkpointing(run, model)
    return _train_targets(run, model, model.transformer, learn, hold)


def _train_targets(
    run: TrainConfig,
    model: ViVa | EarlyExit,
    module: torch.nn.Module,
    learn: Data,
    hold: Data | None,
) -> dict[str, float]:
    """Train a part of a model on its targets; return the metrics on validation recordings."""
    name = 'head' if isinstance(model, EarlyExit) else 'viva'
    labels = losses.Labels.of(learn, model, model.config.tasks)
    copies = losses.latent_copies(run, model, learn) if run.copy_count else ()
    loss = losses.ViVaLoss(model, learn, labels, run.augment, copies)
    held_raw = None if hold is None else losses.stored_latents(run, model, hold, 'validation')

    def measure() -> dict[str, float]:
        if hold is None or held_raw is None:
            return {}
        held_labels = losses.Labels.of(hold, model, model.config.tasks)
        return losses.figures(hold, *losses.predict(model, held_raw, held_labels))

    workers, schedule = Workers(run.hardware), getattr(run.plan, name)
    TrainStage(name, module, schedule, run.out, run.seed + 2, loss, measure, workers).run()
    model.eval()
    with torch.no_grad(), workers.autocast():
        return measure()


def bring_back(model: ViVa, workers: Workers) -> None:
    """Gather a sharded transformer on the first process; the others keep no weights."""
    spread = model.transformer
    if not is_sharded(spread):
        return
    weights = gather(spread, workers.is_first)
    with torch.device('meta'):
        size = model.config.transformer.arguments(model.config.latent_shape[0])
        model.transformer = WanTransformer3DModel(**size)
    if workers.is_first:
        model.transformer.load_state_dict(weights, assign=True)
        model.transformer.rope = spread.rope.cpu()


def train_proprio(
    run: TrainConfig, config: ViVaConfig, ranges: JointRanges, learn: Data, hold: Data | None
) -> None:
    """Train the proprioception baseline and write it."""
    if not run.plan.proprio.steps:
        return
    torch.manual_seed(run.seed)
    tasks, workers = config.tasks, Workers(run.hardware)
    model = ProprioModel(ranges, len(tasks)).to(workers.device)
    labels = losses.Labels.of(learn, model, tasks)
    loss = losses.ProprioLoss(model, labels, run.augment)
    schedule = run.plan.proprio
    TrainStage('proprio', model, schedule, run.out, run.seed + 2, loss, workers=workers).run()
    model.eval()
    final = {}
    if hold is not None:
        joints = torch.from_numpy(hold.proprio).to(workers.device)
        task = torch.from_numpy(hold.task_index(tasks)).to(workers.device)
        given = losses.in_batches(lambda rows: model(joints[rows], task[rows]), len(joints))
        final = losses.figures(hold, *given)
    content = {
        'kind': 'proprio', 'ranges': ranges.to_dict(), 'tasks': list(tasks),
        'horizon': config.horizon,
        'provenance': checkpointing.provenance(run, learn, hold, final),
    }  # fmt: skip
    if workers.is_first:
        checkpoint.write_weights(run.out / 'proprio', model, content)
    workers.wait()
