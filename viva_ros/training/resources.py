# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Memory, disk and time of a run, before it starts; the formulas are in ``model/cost.py``.

The number of micro-batches is the smallest whose estimate fits into the free memory of a device.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from viva_ros.core.errors import ConfigurationError
from viva_ros.model import cost
from viva_ros.model.config import ViVaConfig
from viva_ros.model.cost import ROOM, MemoryEstimate, TrainingSetup
from viva_ros.training.checkpointing import DESCRIPTION, STARTS
from viva_ros.training.config import Schedule, TrainConfig
from viva_ros.training.distributed import check_batches, check_sharding
from viva_ros.training.sources import MOST_HELD
from viva_ros.training.trainer import curve_rows

GB: Final = 1e9
STAGES: Final = ('vae', 'video', 'viva', 'head')  # those whose memory is worth a formula


@dataclass(frozen=True)
class TrainingDevice:
    """
    A device of a run.

    :param name: for messages
    :param free: bytes of free memory
    :param is_cpu: whether this is the memory of the machine
    """

    name: str
    free: float
    is_cpu: bool = False


def device_of(device: torch.device) -> TrainingDevice:
    """Return a device of this machine; processes on one CPU share its memory."""
    if device.type == 'cuda':
        return TrainingDevice(str(device), float(torch.cuda.mem_get_info(device)[0]))
    share = free_ram() / int(os.environ.get('LOCAL_WORLD_SIZE', '1'))
    return TrainingDevice('this CPU', share, is_cpu=True)


def free_ram(root: Path = Path('/')) -> float:
    """Return the available memory of this machine or container, bytes; infinite if unknown."""
    limits = []
    for line in _lines(root / 'proc/meminfo'):
        if line.startswith('MemAvailable:'):
            limits.append(1024.0 * int(line.split()[1]))
    group = root / 'sys/fs/cgroup'
    most, now = _lines(group / 'memory.max'), _lines(group / 'memory.current')
    if most and now and most[0].isdigit():
        cached = [int(line.split()[1]) for line in _lines(group / 'memory.stat')
                  if line.startswith('inactive_file ')]  # fmt: skip
        limits.append(float(int(most[0]) - int(now[0]) + sum(cached)))
    return max(0.0, min(limits, default=float('inf')))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding='utf-8').splitlines()
    except OSError:
        return []


def stages(run: TrainConfig) -> dict[str, Schedule]:
    """Return the schedules of the stages that a run trains on images, by name, in order."""
    first = ('vae', 'video') if run.has_first_stages else ()
    chosen = {name: getattr(run.plan, name) for name in (*first, run.last_stage)}
    return {name: schedule for name, schedule in chosen.items() if schedule.steps}


def memory_of(
    run: TrainConfig, config: ViVaConfig, stage: str, parts: int, processes: int
) -> MemoryEstimate:
    """
    Return the memory of one stage on one device.

    :param config: of the model; its tasks do not matter
    :param parts: micro-batches of a step
    """
    schedule: Schedule = getattr(run.plan, stage)
    batch = max(1, schedule.batch // (processes * parts))
    if stage == 'vae':
        return cost.vae_training_memory(config, batch, bool(schedule.average))
    last, shard = stage != 'video', run.hardware.shard and processes > 1
    setup = TrainingSetup(
        shards=processes if shard else 1, replicas=1 if shard else processes,
        rank=run.lora if last else 0, head=run.head if last else 0,
        checkpointing=run.hardware.checkpointing, precision=run.hardware.precision,
        average=bool(schedule.average), accumulates=parts > 1,
        frames=None if last else config.clip_frames,
    )  # fmt: skip
    return cost.training_memory(config, batch, setup)


def micro_batches(
    run: TrainConfig, config: ViVaConfig, processes: int, device: TrainingDevice,
    before: Mapping[str, int] | None = None,
) -> dict[str, int]:  # fmt: skip
    """
    Return the number of micro-batches of each stage: that of the run, or the smallest that fits.

    :param before: those of an earlier start of the same run, which are kept if they fit, so that
        it goes on with equal rounding
    :raises ConfigurationError: if one sample, or the number of the run, does not fit, with the sum
        and remedies that help; if a batch cannot be divided evenly, or shards have one process
    """
    check_sharding(run.hardware, processes)
    batches = {name: schedule.batch for name, schedule in stages(run).items()}
    joints = {'proprio': run.plan.proprio.batch} if run.plan.proprio.steps else {}
    given = run.hardware.accumulate
    check_batches(batches, processes, given, joints)
    found = {}
    for name, batch in batches.items():
        divisors = _divisors(batch, processes) if given is None else [given]
        known = [parts for parts in divisors if parts == (before or {}).get(name)]
        for parts in [*known, *divisors]:
            if memory_of(run, config, name, parts, processes).total <= ROOM * device.free:
                found[name] = parts
                break
        else:
            raise _too_large(run, config, name, processes, device)
    return found


def _divisors(batch: int, processes: int) -> list[int]:
    """Return the numbers of equal micro-batches of a process; 1 if the batch is not divisible."""
    each = batch // processes
    if batch % processes or not each:
        return [1]  # refused by ``check_batches``
    return [parts for parts in range(1, each + 1) if each % parts == 0]


def described(memory: MemoryEstimate) -> str:
    """Return the parts of an estimate that are above 0.05 GB, in GB."""
    names = {
        'weights': memory.weights, 'copies of weights': memory.copies,
        'gradients': memory.gradients, 'moments': memory.moments,
        'activations': memory.activations, 'encoding': memory.encoding, 'update': memory.update,
    }  # fmt: skip
    return ', '.join(f'{k} {v / GB:.1f}' for k, v in names.items() if v > 0.05 * GB)


def _too_large(
    run: TrainConfig, config: ViVaConfig, stage: str, processes: int, device: TrainingDevice
) -> ConfigurationError:
    schedule: Schedule = getattr(run.plan, stage)
    parts = run.hardware.accumulate or _divisors(schedule.batch, processes)[-1]
    memory = memory_of(run, config, stage, parts, processes)
    helping = remedies(run, config, processes, device)
    use = ', or '.join(helping) or (
        'no option helps: use a device with more memory, or a smaller --preset'
    )  # fmt: skip
    if helping and not use.startswith(LEAVE_OUT):
        use = f'use {use}'
    at_once = schedule.batch // (processes * parts)
    samples = 'sample at a time of stage' if at_once == 1 else 'samples at a time of stage'
    return ConfigurationError(
        'training-memory',
        f'{at_once} {samples} {stage} need{"s" * (at_once == 1)} '
        f'{memory.total / GB:.1f} GB at the peak ({described(memory)}), {device.name} has '
        f'{device.free / GB:.1f} GB free, of which {100 * ROOM:.0f} % are used: {use}',
    )


LEAVE_OUT: Final = 'leave out --accumulate'


def remedies(
    run: TrainConfig, config: ViVaConfig, processes: int, device: TrainingDevice
) -> list[str]:  # fmt: skip
    """Return up to three changes of a run, each of which makes all of its stages fit."""
    found: list[tuple[frozenset[str], str]] = []
    for words, changed, count in _changes(run, processes):
        if any(kept <= words for kept, _ in found) or len(found) == 3:
            continue
        try:
            micro_batches(changed, config, count, device)
        except ConfigurationError:
            continue
        text = ' '.join(sorted(words))
        if run.hardware.accumulate is not None:
            text = f'{text} without --accumulate' if text else LEAVE_OUT
        found.append((words, text if count == processes else f'{text} on {count} GPUs'))
    return [text for _, text in found]


def _changes(
    run: TrainConfig, processes: int
) -> Iterator[tuple[frozenset[str], TrainConfig, int]]:
    """Yield options, the run with them, and its processes; fewer changes first."""
    hardware = replace(run.hardware, accumulate=None)
    plain, single = replace(run, hardware=hardware), replace(hardware, shard=False)
    lean: dict[str, dict[str, Any]] = {}
    if not hardware.checkpointing and (not run.head or run.has_first_stages):
        lean['--checkpointing'] = {'checkpointing': True}
    if hardware.precision != 'bf16':
        lean['--precision bf16'] = {'precision': 'bf16'}
    subsets: dict[tuple[str, ...], dict[str, Any]] = {(): {}}
    subsets |= {(name,): change for name, change in lean.items()}
    subsets[tuple(lean)] = {key: one for change in lean.values() for key, one in change.items()}
    if run.hardware.accumulate is not None:
        yield frozenset(), plain, processes
    for names, changes in subsets.items():
        if names:
            leaner = replace(plain, hardware=replace(hardware, **changes))
            yield frozenset(names), leaner, processes
        if not run.lora and not run.head:
            adapted = replace(plain, lora=16, hardware=replace(single, **changes))
            yield frozenset({*names, '--lora 16'}), adapted, processes
    if run.lora or run.head:
        return
    for names, changes in subsets.items():
        for count in (2, 4, 8, 16, 32):
            more = count > processes or (count == processes and not hardware.shard)
            if more and not any(s.batch % count for s in stages(run).values()):
                sharded = replace(plain, hardware=replace(hardware, shard=True, **changes))
                yield frozenset({*names, '--shard'}), sharded, count


@dataclass(frozen=True)
class StageEstimate:
    """
    One stage of a planned run.

    :param at_once: samples at a time on one device
    :param parts: micro-batches of a step
    :param epochs: how often a moment is drawn on average
    :param memory: on one device
    """

    name: str
    steps: int
    batch: int
    at_once: int
    parts: int
    epochs: float
    hours: float
    memory: MemoryEstimate


@dataclass(frozen=True)
class RunEstimate:
    """
    A planned run.

    :param encoding: hours of the encoding of stored latents
    :param disk: bytes by content
    :param ram: bytes of the machine's memory at the peak, all processes together; no libraries
    :param problem: why the run does not fit, with remedies; '' if it does
    """

    processes: int
    moments: int
    stages: tuple[StageEstimate, ...]
    encoding: float
    disk: Mapping[str, float]
    ram: float
    problem: str = ''

    @property
    def hours(self) -> float:
        """Hours of all stages and of the encoding."""
        return self.encoding + sum(stage.hours for stage in self.stages)

    @property
    def peak(self) -> float:
        """Bytes on one device in the stage that needs most."""
        return max((stage.memory.total for stage in self.stages), default=0.0)


@dataclass(frozen=True)
class Pace:
    """
    Speed of a device.

    :param rate: operations/s in a training step
    :param measured: seconds of a step by stage, of an earlier start of the same run
    :param processes: of that start
    """

    rate: float
    measured: Mapping[str, float]
    processes: int = 1


def estimate(
    run: TrainConfig,
    config: ViVaConfig,
    moments: int,
    processes: int,
    device: TrainingDevice,
    pace: Pace,
    held: int = 0,
) -> RunEstimate:
    """
    Return memory, disk and time of a run.

    :param config: of the model; its tasks do not matter
    :param moments: in the training recordings
    :param held: moments in the validation recordings
    """
    run, problem = replace(run, plan=run.plan.settled(moments)), ''
    try:
        chosen = micro_batches(run, config, processes, device)
    except ConfigurationError as error:
        chosen, problem = {}, str(error)
    rows = []
    for name, schedule in stages(run).items():
        parts = chosen.get(name) or run.hardware.accumulate or (
            _divisors(schedule.batch, processes)[-1]
        )  # fmt: skip
        memory = memory_of(run, config, name, parts, processes)
        measured = pace.measured if pace.processes == processes else {}
        seconds = measured.get(name) or step_seconds(run, config, name, processes, pace.rate)
        rows.append(StageEstimate(
            name, schedule.steps, schedule.batch,
            max(1, schedule.batch // (processes * parts)), parts,
            schedule.batch * schedule.steps / moments, schedule.steps * seconds / 3600, memory,
        ))  # fmt: skip
    encoded = moments * (run.copy_count + 1) if run.copy_count or 'video' in stages(run) else 0
    encoding = encoded * cost.encoding_operations(config) / pace.rate / 3600
    peak = max((one.memory.total for one in rows), default=0.0)
    on_device = processes * peak if device.is_cpu else 0.0
    return RunEstimate(
        processes, moments, tuple(rows), encoding, _disk(run, config, moments, held),
        _ram(run, config, processes, moments, on_device), problem,
    )  # fmt: skip


def step_seconds(
    run: TrainConfig, config: ViVaConfig, stage: str, processes: int, rate: float
) -> float:
    """
    Return the seconds of a step by the number of operations, measurements included.

    :param rate: operations/s of one device
    """
    schedule: Schedule = getattr(run.plan, stage)
    checkpointing = ', checkpointing' * run.hardware.checkpointing
    if stage == 'vae':
        return cost.vae_training_operations(config) * schedule.batch / (processes * rate)
    forward = sum(cost.forward_operations(config).values())
    if stage == 'video':
        operations = cost.training_operations(config, config.clip_frames)
        each = operations[f'all weights{checkpointing}']
        return each * schedule.batch / (processes * rate)
    each = cost.training_operations(config)[
        ('LoRA' if run.lora else 'all weights') + checkpointing
    ]  # fmt: skip
    if stage == 'head':
        each = forward * run.head // config.transformer.num_layers
    if not run.copy_count:
        each += cost.encoding_operations(config)
    measured = MOST_HELD * forward / schedule.measure_every
    return (each * schedule.batch + measured) / (processes * rate)


def _disk(
    run: TrainConfig, config: ViVaConfig, moments: int, held: int = 0
) -> dict[str, float]:  # fmt: skip
    """
    Return bytes by content: a state is written beside the one that it replaces.

    :param held: moments in the validation recordings
    """
    views, (channels, high, wide) = len(config.cameras), config.latent_shape
    height, width = config.image_size
    copies = run.copy_count + 1 if run.copy_count or 'video' in stages(run) else 0
    whole, vae = sum(cost.parameters(config).values()), cost.vae_parameters(config)
    states = sum(2 * _state(run, config, name) for name in stages(run))
    # The best weights: those of the state, later ones, and those that are being written.
    states += 3 * 4.0 * _trained(run, config, run.last_stage)
    return {
        'cache': float((moments + held) * views * 3 * height * width),
        'latents': 2.0 * copies * moments * views * channels * high * wide,
        'states': states, 'checkpoint': 4.0 * (whole + vae),
    }  # fmt: skip


def _ram(
    run: TrainConfig, config: ViVaConfig, processes: int, moments: int, on_device: float
) -> float:
    """
    Return the bytes of the machine's memory at the peak, all processes together.

    The phases follow each other: each process reads all weights before they are on its device,
    with --shard only the first one reads those of the transformer (random weights are drawn in
    each); latents are encoded; a state is held three times while it is written (measured): as
    tensors, as bytes, and as a file; the first process gathers the weights.

    :param on_device: bytes that stay on the devices, if these are the memory of the machine
    """
    whole, vae = sum(cost.parameters(config).values()), cost.vae_parameters(config)
    frozen = bool(run.lora or run.head) and run.hardware.precision == 'bf16'
    readers = 1 if run.hardware.shard and not run.has_first_stages else processes
    begin = readers * (2.0 if frozen else 4.0) * whole + processes * 4.0 * vae
    if run.init is not None:  # read in float32
        begin = 4.0 * (readers * whole + processes * vae)
    disk = _disk(run, config, moments)
    copies = run.copy_count + 1 if disk['latents'] else 1
    return max(begin, on_device + max(
        disk['latents'] / copies, 3.0 * _largest_state(run, config), 4.0 * (whole + vae)
    ))  # fmt: skip


def _largest_state(run: TrainConfig, config: ViVaConfig) -> float:
    """Return the bytes of the largest state of a stage."""
    return max((_state(run, config, name) for name in stages(run)), default=0.0)


def _state(run: TrainConfig, config: ViVaConfig, stage: str) -> float:
    """Return the bytes of a state: weights and moments of the optimiser, and their average."""
    schedule: Schedule = getattr(run.plan, stage)
    return (16.0 if schedule.average else 12.0) * _trained(run, config, stage)


def _trained(run: TrainConfig, config: ViVaConfig, stage: str) -> int:
    """Return the number of parameters that a stage trains."""
    if stage == 'vae':
        return cost.vae_parameters(config)
    if stage == 'head':
        return cost.head_parameters(config)
    if stage == 'viva' and run.lora:
        return cost.adapter_parameters(config, run.lora)
    return sum(cost.parameters(config).values())


#: What the time of a step depends on, of the model and the run.
SIZES: Final = (
    'vae', 'transformer', 'cameras', 'joint_names', 'image_size', 'targets', 'lora', 'head',
)  # fmt: skip


def pace_of(run: TrainConfig, config: ViVaConfig, rate: float) -> Pace:
    """
    Return the speed of a device, with the measured steps of an earlier start of the run.

    Steps of another model, batch or hardware do not count.

    :param rate: operations/s in a training step
    """
    path = run.out / DESCRIPTION
    if not path.is_file():
        return Pace(rate, {})
    content = json.loads(path.read_text(encoding='utf-8'))
    last = content[STARTS][-1]
    asked = json.loads(json.dumps({**config.to_dict(), 'lora': run.lora, 'head': run.head}))
    was = {**content['config'], **content}
    if last['hardware'] != asdict(run.hardware) or any(was[k] != asked[k] for k in SIZES):
        return Pace(rate, {})
    measured = {
        row['stage']: float(row['seconds_a_step']) for row in curve_rows(run.out)
        if row['stage'] in stages(run)
        and content['plan'][row['stage']]['batch'] == getattr(run.plan, row['stage']).batch
    }  # fmt: skip
    return Pace(rate, measured, last['processes'])


def disk_needed(
    run: TrainConfig, config: ViVaConfig, moments: int, held: int, cached: float
) -> str:
    """
    Return why a run does not fit on its disks, else ''; see ``estimate``.

    :param moments: in the training recordings
    :param held: moments in the validation recordings
    :param cached: bytes of their images that are in the cache already
    """
    run = replace(run, plan=run.plan.settled(moments))
    return disk_problem(run, _disk(run, config, moments, held), cached)


def disk_problem(run: TrainConfig, disk: Mapping[str, float], cached: float = 0.0) -> str:
    """
    Return why a run does not fit on the disks of its folders, else ''.

    What an earlier start of the run has written there is not needed again.

    :param disk: bytes by content; 'cache' is written to the folder of the cache
    :param cached: bytes of the cache that are written already
    """
    rest = sum(size for name, size in disk.items() if name != 'cache') - _written(run.out)
    contents = (
        (run.out, '--out', rest), (run.cache_folder, '--cache', disk.get('cache', 0.0) - cached)
    )  # fmt: skip
    needed: dict[int, list[tuple[Path, str, float]]] = {}
    for folder, option, size in contents:
        missing, place = max(0.0, size), _existing(folder)
        needed.setdefault(place.stat().st_dev, []).append((place, option, missing))
    for rows in needed.values():
        total, free = sum(row[2] for row in rows), float(shutil.disk_usage(rows[0][0]).free)
        if total > free:
            options = ' and '.join(row[1] for row in rows if row[2])
            return (
                f'the run needs {total / GB:.1f} GB more on the disk of {rows[0][0]}, which has '
                f'{free / GB:.1f} GB free: free disk space, or name another disk with {options}'
            )
    return ''


def _existing(folder: Path) -> Path:
    """Return the folder, or the first one above it that exists."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _written(folder: Path) -> float:
    """Return the bytes of latents, states and checkpoint of an earlier start of a run."""
    if not (folder / DESCRIPTION).is_file():
        return 0.0
    patterns = ('latents_*.npy', '*.state*', 'checkpoint/*')
    files = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return float(sum(path.stat().st_size for path in files))


def product_rate(device: torch.device, precision: str, size: int = 768) -> float:
    """Measure the operations/s of a matrix product."""
    kind = torch.bfloat16 if precision == 'bf16' and device.type == 'cuda' else torch.float32
    size = 8 * size if device.type == 'cuda' else size
    left = torch.ones(size, size, dtype=kind, device=device)
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        float((left @ left)[0, 0])  # waits for the device
        times.append(time.perf_counter() - begun)
    return 2.0 * size**3 / min(times)


def table(estimates: Sequence[RunEstimate], device: TrainingDevice) -> str:
    """Return a Markdown table: a row for each planned run and stage."""
    lines = [
        '| devices | moments | stage | samples at a time | steps x batch | epochs | '
        f'GB of {device.free / GB:.0f} | hours | disk, GB |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    for one in estimates:
        for stage in one.stages:
            fits = stage.memory.total <= ROOM * device.free
            lines.append(
                f'| {one.processes} | {one.moments:,} | {stage.name} | {stage.at_once} | '
                f'{stage.steps} x {stage.batch} | {_epochs(stage.epochs)} | '
                f'{stage.memory.total / GB:.1f}{"" if fits else ", too large"} | '
                f'{stage.hours:.1f} | {sum(one.disk.values()) / GB:.1f} |'
            )
    return '\n'.join(lines)


def _epochs(number: float) -> str:
    return f'{number:.2g}' if number < 10 else f'{number:,.0f}'
