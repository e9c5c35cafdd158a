# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva train`: train the VAE, then the video generator, then the value model.

Three stages: the VAE on single frames; the transformer as a video generator; ViVa from its
weights. Published weights (--backbone) or a checkpoint (--init) replace the first two. An
interrupted or killed run continues when it is started again with the same arguments.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from numpy.typing import NDArray

from viva_ros.console.progress import bar, note
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.normalize import JointRanges
from viva_ros.data.split import VALIDATION
from viva_ros.model import checkpoint, pretrained, text, wan_files
from viva_ros.model.config import UMT5, ViVaConfig
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.proprio import ProprioModel
from viva_ros.model.viva import ViVa, first_noise
from viva_ros.training import checkpointing, losses, resources, sources, verdict
from viva_ros.training.config import TrainConfig
from viva_ros.training.dataset import Data
from viva_ros.training.distributed import Workers, gather, is_sharded
from viva_ros.training.survey import Survey, cached_bytes, check_recordings, survey_of
from viva_ros.training.trainer import TrainStage

CLIP_SPACING: Final = 0.4  # s between the frames of a clip
FIRST_LOGVAR: Final = 6.0


def train(run: TrainConfig) -> ViVa | EarlyExit:
    """
    Run all stages; write ``checkpoint/`` and ``proprio/``, the baseline, to the run's folder.

    :raises RecordingError: if recordings cannot be read
    :raises ConfigurationError: if the configuration does not fit them, or the run to continue
    """
    workers, found = Workers(run.hardware), sources.find(run)
    survey = survey_of(run, found)
    check(run, found, survey)  # before any decoding
    check_disk(run, found, survey)
    teams_of(run, found.blank, workers)
    with workers.first_goes_ahead():
        material = sources.read(run, found)
    model = train_on(run, material.learn, material.hold, material.blank)
    workers.close()
    return model


def check(
    run: TrainConfig, found: sources.Found, survey: Survey, weights: bool = True
) -> None:  # fmt: skip
    """
    Refuse a run whose recordings, model or weights are known not to fit, before it starts.

    :param survey: of the training recordings
    :param weights: whether backbone and embeddings are checked; a plan needs neither
    :raises ConfigurationError: with the option that does not fit
    :raises EngineError: if backbone or embeddings cannot be read, or do not fit the preset
    """
    check_recordings(run, found, survey)
    check_model(run, found.blank)
    if not weights:
        return
    tasks = tuple(sorted({one.task for one in survey.lengths}))
    config = replace(found.blank, tasks=tuple(run.tasks) or tasks)
    if run.backbone is not None:
        config = wan_files.check(run.backbone, config)
    embeddings = None if run.embeddings is None else text.read(run.embeddings)
    if run.init is None or config.text != UMT5:  # a checkpoint has embeddings of its own
        text.table(config, embeddings)


def check_disk(run: TrainConfig, found: sources.Found, survey: Survey) -> None:
    """
    Refuse a run that does not fit on its disks, before it starts.

    :param survey: of the training recordings
    :raises ConfigurationError: with the sizes
    """
    held = survey_of(run, found, VALIDATION).moments
    if problem := resources.disk_needed(
        run, found.blank, survey.moments, held, cached_bytes(run, found)
    ):
        raise ConfigurationError('train-disk', problem)


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
    teams = teams_of(run, blank, workers)
    config = replace(blank, tasks=learn.tasks)
    ranges = JointRanges.of(config.joint_names, [track.joints for track in learn.tracks])
    if run.init is not None:
        ranges = sources.start_of(run.init)[1]
    model = begin_model(run, config, ranges, workers.is_first or not run.hardware.shard)
    described = checkpointing.describe(run, model.config, learn, hold)
    warnings = verdict.before(run, learn, hold, config.horizon)
    with workers.first_goes_ahead():
        if workers.is_first:
            parts = {name: team.hardware.accumulate for name, team in teams.items()}
            checkpointing.begin(run, described, workers, parts, warnings)
            _say([*warnings, *_shares(run, workers, parts)])
    place(model, workers)
    if run.has_first_stages:
        train_vae(run, model, learn, teams)
        raw = losses.stored_latents(run, model, learn, 'train')
        losses.set_statistics(model, raw)
        train_video(run, model, learn, raw, teams)
    held = None if hold is None else sources.sample(hold)
    result, made = train_value(run, model, learn, held, teams)
    if workers.is_first:
        found = conclude(run, learn, hold, result)
        about = checkpointing.provenance(run, learn, hold, result.held_out)
        about |= {'step': result.step, 'steps': result.steps, 'verdict': found}
        checkpoint.write(run.out / 'checkpoint', made, about)
    workers.wait()
    train_proprio(run, config, ranges, learn, hold)
    return made.eval()


@dataclass(frozen=True)
class StageResult:
    """
    What the last stage returns.

    :param held_out: metrics on validation recordings
    :param step: of the weights that are kept
    :param steps: trained
    """

    held_out: dict[str, float]
    step: int
    steps: int


def teams_of(run: TrainConfig, config: ViVaConfig, workers: Workers) -> dict[str, Workers]:
    """
    Return the processes with the number of micro-batches of each stage.

    :raises ConfigurationError: as ``resources.micro_batches``
    """
    config = run.config_of(config)
    device = resources.device_of(workers.device)
    device = replace(device, free=workers.least(device.free))
    before = checkpointing.last_micro_batches(run.out)
    parts = resources.micro_batches(run, config, workers.count, device, before)
    return {
        name: Workers(replace(run.hardware, accumulate=number)) for name, number in parts.items()
    }


def _shares(run: TrainConfig, workers: Workers, parts: Mapping[str, int | None]) -> list[str]:
    """Return a sentence for each stage whose batch does not run at once on each process."""
    found = []
    for name, number in parts.items():
        if number is not None and number > 1:
            batch = getattr(run.plan, name).batch
            at_once = batch // (workers.count * number)
            found.append(f'stage {name}: {number} micro-batches of {at_once} samples a step')
    return found


def _say(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        note(f'viva train: {sentence}')


def conclude(
    run: TrainConfig, learn: Data, hold: Data | None, result: StageResult
) -> list[str]:  # fmt: skip
    """Print the verdict on the last stage, write it to run.json, and plot the curve."""
    curve = verdict.Curve.read(run.out, run.last_stage)
    found = [
        *verdict.after(curve, run.last_stage), *verdict.length(run, len(learn.images)),
        *verdict.outcomes(learn.labels), *verdict.held(len(hold.labels) if hold else 0),
        *verdict.seen_before(run, hold),
    ]  # fmt: skip
    if result.steps < getattr(run.plan, run.last_stage).steps:
        found.append(
            f'ended at step {result.steps}: {run.patience_count} measurements without a better '
            'state (--patience)'
        )
    _say(found)
    checkpointing.end(run, found)
    best = result.step if len(curve.errors) else 0
    verdict.draw(curve, run.last_stage, best, run.out / verdict.PLOT)
    return found


def begin_model(
    run: TrainConfig, config: ViVaConfig, ranges: JointRanges, has_weights: bool = True
) -> ViVa:  # fmt: skip
    """
    Return a model with random weights, or those of a backbone.

    :param has_weights: see ``first_model``
    :raises ConfigurationError: if targets or head do not fit the preset
    """
    check_model(run, config)
    config = run.config_of(config)
    return first_model(run, config, ranges, has_weights)


def check_model(run: TrainConfig, config: ViVaConfig) -> None:
    """
    Refuse a head that does not fit the model.

    :raises ConfigurationError: if it is too deep, or the targets have images
    """
    layers = config.transformer.num_layers
    if run.head > layers:
        raise ConfigurationError(
            'head-too-deep',
            f'head is {run.head}, must be at most {layers}, the blocks of preset {run.preset}',
        )
    if run.head and 'images' in run.config_of(config).targets:
        raise ConfigurationError(
            'head-with-images', 'targets has images, which a head does not predict: leave it out'
        )


def first_model(
    run: TrainConfig, config: ViVaConfig, ranges: JointRanges, has_weights: bool = True
) -> ViVa:  # fmt: skip
    """
    Return a model with the weights of the checkpoint or backbone, or random ones without either.

    Frozen weights (under adapters or a head) are in the precision of the run, trained weights in
    float32.

    :param has_weights: whether the transformer has memory and weights; a process without gets its
        shards from the first one, see ``distributed.shard``. Random weights are drawn in each
    :raises EngineError: if backbone or embeddings cannot be read, or do not fit the preset
    :raises ConfigurationError: if a task has no embedding and the preset needs one
    """
    embeddings = None if run.embeddings is None else text.read(run.embeddings)
    frozen = bool(run.lora or run.head) and run.hardware.precision == 'bf16'
    dtype = torch.bfloat16 if frozen else torch.float32
    if run.init is not None:
        return _continued_model(run.init, config, embeddings, dtype, has_weights)
    if run.backbone is None:
        return ViVa(*_with_text(config, ranges, embeddings))
    return pretrained.load(
        run.backbone, config, ranges, embeddings, dtype, _watch, has_weights
    )  # fmt: skip


def _continued_model(
    folder: Path, config: ViVaConfig, embeddings: text.Embeddings | None, dtype: torch.dtype,
    has_weights: bool = True,
) -> ViVa:  # fmt: skip
    """
    Return the model of a checkpoint for other tasks, another horizon and another objective.

    :param embeddings: of new tasks; those of the checkpoint have theirs
    """
    model = checkpoint.read(folder, blank_part='' if has_weights else 'transformer').model
    assert isinstance(model, ViVa)  # sources.start_of refuses others
    begun = model.config
    if begun.text == UMT5:
        known = text.Embeddings(
            begun.tasks, begun.texts, (begun.text_tokens,) * len(begun.tasks), begun.text_encoder,
            model.text,
        )  # fmt: skip
        embeddings = known if embeddings is None else known.joined(embeddings)
    model.config, rows = text.table(config, embeddings)
    model.register_buffer('text', rows)
    model.register_buffer('noise', first_noise(model.config))
    for name, parameter in model.transformer.named_parameters():
        parameter.data = parameter.data.to(pretrained.dtype_of(name, dtype))
    return model


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


def train_vae(
    run: TrainConfig, model: ViVa, learn: Data, teams: Mapping[str, Workers]
) -> None:  # fmt: skip
    """Stage 1: single frames."""
    if not run.plan.vae.steps:
        return
    prepare_vae(model)
    loss = losses.VaeLoss(model, learn, run.augment)
    workers = teams['vae']
    TrainStage('vae', model.vae, run.plan.vae, run.out, run.seed, loss, workers=workers).run()


def prepare_vae(model: ViVa) -> None:
    """Start with a small variance of the latents: otherwise the decoder sees only noise."""
    model.vae.to(memory_format=torch.channels_last)
    with torch.no_grad():
        model.vae.quant_conv.bias[model.config.vae.z_dim :] -= FIRST_LOGVAR


def train_video(
    run: TrainConfig, model: ViVa, learn: Data, raw: NDArray[np.float16],
    teams: Mapping[str, Workers],
) -> None:  # fmt: skip
    """Stage 2: motion."""
    if not run.plan.video.steps:
        return
    loss = losses.VideoLoss(model, learn, raw, clip_spacing(learn))
    workers, seed = teams['video'], run.seed + 1
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
    run: TrainConfig, model: ViVa, learn: Data, hold: Data | None, teams: Mapping[str, Workers]
) -> tuple[StageResult, ViVa | EarlyExit]:
    """Stage 3: train the whole transformer, adapters, or a head on frozen blocks."""
    if run.head:
        head = EarlyExit.of(model, run.head)
        return _train_targets(run, head, head.head, learn, hold, teams), head
    if run.lora:
        checkpointing.add(model.transformer, run.lora)
    _set_checkpointing(run, model)
    result = _train_targets(run, model, model.transformer, learn, hold, teams)
    workers = Workers(run.hardware)
    if run.lora:
        if workers.is_first:
            checkpointing.write(run.out / 'checkpoint' / 'adapter', model.transformer, run.lora)
        checkpointing.merge(model.transformer)
    bring_back(model, workers)
    return result, model


def _train_targets(
    run: TrainConfig,
    model: ViVa | EarlyExit,
    module: torch.nn.Module,
    learn: Data,
    hold: Data | None,
    teams: Mapping[str, Workers],
) -> StageResult:
    """Train a part of a model on its targets; it has the weights of the best step."""
    name, schedule = run.last_stage, getattr(run.plan, run.last_stage)
    workers = teams.get(name) or Workers(run.hardware)
    at_once = schedule.batch // (workers.count * (workers.hardware.accumulate or 1))
    labels = losses.Labels.of(learn, model, model.config.tasks)
    copies = losses.latent_copies(run, model, learn) if run.copy_count and schedule.steps else ()
    loss = losses.ViVaLoss(model, learn, labels, run.augment, copies)
    held_raw = None if hold is None else losses.stored_latents(run, model, hold, 'validation')

    def measure() -> dict[str, float]:
        if hold is None or held_raw is None:
            return {}
        held_labels = losses.Labels.of(hold, model, model.config.tasks)
        size = max(1, min(losses.BATCH, at_once))
        given = losses.predict(model, held_raw, held_labels, workers, size)
        return losses.figures(hold, *given)

    stage = TrainStage(
        name, module, schedule, run.out, run.seed + 2, loss, measure, workers, verdict.AIM,
        run.patience_count,
    )  # fmt: skip
    stage.run()
    model.eval()
    with torch.no_grad(), workers.autocast():
        return StageResult(measure(), *stage.steps)


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
    tasks, workers = config.tasks, Workers(replace(run.hardware, accumulate=1))
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
