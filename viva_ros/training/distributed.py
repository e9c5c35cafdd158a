# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Distributed training: processes, devices, precision and sharding.

Several processes are started by `accelerate launch` or `torchrun`. A step has the gradients of
one process with the whole batch, for any number of processes and micro-batches: see
``viva_ros.model.noise``.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import setting, validate
from viva_ros.model.noise import BatchShare, Source


def can_shard(module: nn.Module) -> bool:
    """Return whether a module has blocks, which are gathered one at a time."""
    return isinstance(getattr(module, 'blocks', None), nn.ModuleList)


def is_sharded(module: nn.Module) -> bool:
    """Return whether a module is sharded."""
    return isinstance(module, FSDPModule)


def shard(module: nn.Module, device: torch.device, precision: str) -> None:
    """
    Shard a transformer in place (FSDP); its parameter objects are replaced.

    The first process has the weights and sends the others their shards, one weight at a time.
    Theirs may be on the meta device: a machine then reads the weights once.

    :param precision: 'bf16' gathers weights in bfloat16; gradients are summed in float32
    """
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    policy = MixedPrecisionPolicy()
    if precision == 'bf16':
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    first = mesh.get_rank() == 0
    weights = {name: weight.detach() for name, weight in module.named_parameters() if first}
    constants = {name: buffer.to(device) for name, buffer in module.named_buffers()}
    module.to('meta')
    blocks: nn.ModuleList = module.blocks
    for block in blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(module, mesh=mesh, mp_policy=policy)
    module.to_empty(device=device)
    for name, buffer in constants.items():
        owner = module.get_submodule(name.rpartition('.')[0])
        setattr(owner, name.rpartition('.')[2], buffer)
    for name, parameter in module.named_parameters():
        _send(weights.pop(name, None), parameter, device)


def _send(weight: Tensor | None, parameter: Tensor, device: torch.device) -> None:
    """Set a sharded parameter to a weight of the first process; None in the others."""
    assert isinstance(parameter, DTensor)
    whole = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
    if weight is not None:
        whole.copy_(weight)
    sent = distribute_tensor(whole, parameter.device_mesh, parameter.placements)
    local(parameter).copy_(sent.to_local())


def set_sync(module: nn.Module, sync: bool) -> None:
    """Set whether the next backward pass sums the gradients over the processes."""
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(sync)


def local(tensor: Tensor) -> Tensor:
    """Return the shard of a tensor on this process; it shares the memory."""
    tensor = tensor.detach()
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor that may be sharded as a whole; all processes must call."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def spread_like(part: Tensor, like: Tensor) -> Tensor:
    """Return a tensor from the shards of all processes, distributed as another tensor."""
    if not isinstance(like, DTensor) or part.ndim == 0:
        return part
    return DTensor.from_local(
        part.to(like.device), like.device_mesh, like.placements,
        shape=like.shape, stride=like.stride(),
    )  # fmt: skip


def gather(module: nn.Module, keep: bool) -> dict[str, Tensor]:
    """
    Return the full weights by name, on the CPU; all processes must call.

    :param keep: whether this process keeps them; without it the result is empty
    """
    found = {}
    for name, parameter in module.named_parameters():
        tensor = whole(parameter)
        if keep:
            found[name] = tensor.cpu().clone()
    return found


DEVICES: Final = ('auto', 'cpu', 'cuda')
PRECISIONS: Final = ('fp32', 'bf16')
PATIENCE: Final = timedelta(hours=12)  # others wait while the first reads recordings

Losses: TypeAlias = Mapping[str, Tensor]
LossFunction: TypeAlias = Callable[[int, Source], Losses]


@dataclass(frozen=True)
class Hardware:
    """
    Device, precision and memory use of a run; results depend on them only through rounding.

    :raises ConfigurationError: if a value is out of range, or there is no CUDA device
    """

    device: str = setting(
        'auto', 'Device; auto: CUDA if available, otherwise the CPU.', choices=DEVICES
    )
    precision: str = setting(
        'fp32', 'Precision of products; weights and their averages stay in float32.',
        choices=PRECISIONS,
    )  # fmt: skip
    accumulate: int | None = setting(
        None, 'Gradient accumulation: micro-batches of each step; default: auto, as few as fit '
        'into 85 % of the free memory.', at_least=1,
    )  # fmt: skip
    shard: bool = setting(
        False, 'Shard the transformer weights over the processes, to save memory (FSDP).'
    )
    checkpointing: bool = setting(
        False, 'Recompute activations in the backward pass, to save memory.'
    )

    def __post_init__(self) -> None:
        validate(self)
        if self.device == 'cuda' and not torch.cuda.is_available():
            raise ConfigurationError(
                'cuda-device-missing', 'device is cuda, but there is none: use auto or cpu'
            )


def check_batches(
    batches: Mapping[str, int], processes: int, accumulate: int | None = None,
    whole: Mapping[str, int] | None = None,
) -> None:  # fmt: skip
    """
    Refuse batches that cannot be divided evenly.

    :param batches: by name of the stage, '' without one
    :param accumulate: micro-batches of a step; None: chosen to fit
    :param whole: batches without micro-batches
    :raises ConfigurationError: with changes, each of which is valid for all batches
    """
    parts = processes * (accumulate or 1)
    every = {**batches, **(whole or {})}
    odd = [name for name in every if every[name] % (parts if name in batches else processes)]
    if not odd:
        return
    name, batch = odd[0], every[odd[0]]
    micro = f' x {accumulate} micro-batches' if accumulate else ''
    helping, common = [], math.gcd(*every.values())
    if accumulate and common % processes == 0:
        helping.append('leave out --accumulate')
    near = sorted({max(1, batch // parts) * parts, -(-batch // parts) * parts})
    helping.append(f'set --batch {" or ".join(map(str, near))}')
    if processes > 1 and common % processes:
        fewer = max(k for k in range(1, processes) if common % k == 0)
        more = [k for k in range(processes + 1, 2 * processes + 1) if common % k == 0][:1]
        counts = ' or '.join(map(str, [fewer, *more]))
        helping.append(f'start {counts} processes{" without --accumulate" * bool(accumulate)}')
    raise ConfigurationError(
        'batch-indivisible',
        f'batch{f" of stage {name}" if name else ""} is {batch}, must be a multiple of '
        f'{processes} process{"es" * (processes > 1)}{micro}: {", or ".join(helping)}',
    )


def check_sharding(hardware: Hardware, processes: int) -> None:
    """
    Refuse to shard over one process.

    :raises ConfigurationError: if that is asked for
    """
    if hardware.shard and processes == 1:
        raise ConfigurationError(
            'shard-single-process',
            'weights cannot be sharded over 1 process: start several with torchrun or '
            'accelerate launch, or leave out --shard',
        )


class Workers:
    """
    The processes of a run, as one of them uses them.

    :raises ConfigurationError: if weights are to be sharded over one process
    """

    def __init__(self, hardware: Hardware | None = None) -> None:
        self.hardware = hardware or Hardware()
        cpu = self.hardware.device == 'cpu' or not torch.cuda.is_available()
        handlers = [
            InitProcessGroupKwargs(timeout=PATIENCE),
            DistributedDataParallelKwargs(broadcast_buffers=False),
        ]
        precision = 'bf16' if self.hardware.precision == 'bf16' else 'no'
        self._accelerator = Accelerator(
            mixed_precision=precision, cpu=cpu, kwargs_handlers=handlers
        )  # fmt: skip
        self.rank = self._accelerator.process_index
        self.count = self._accelerator.num_processes
        self.device = self._accelerator.device
        check_sharding(self.hardware, self.count)

    @property
    def is_first(self) -> bool:
        """Whether this process writes the common files."""
        return self.rank == 0

    def place(self, module: nn.Module) -> None:
        """Move a module to the device, or shard it if it has blocks and --shard is set."""
        if not self.is_spread(module):
            module.to(self.device)
        elif not is_sharded(module):
            shard(module, self.device, self.hardware.precision)

    def is_spread(self, module: nn.Module) -> bool:
        """Return whether a module is to be sharded over the processes."""
        return self.hardware.shard and can_shard(module)

    def share(self, module: nn.Module, loss: LossFunction) -> LossFunction:
        """Return a loss whose gradients are averaged over the processes."""
        if self.count > 1 and not self.is_spread(module):
            shared: LossFunction = self._accelerator.prepare_model(_Module(module, loss))
            return shared

        def with_precision(batch: int, source: Source) -> Losses:
            with self.autocast():
                return loss(batch, source)

        return with_precision

    def backward(
        self, loss: LossFunction, module: nn.Module, batch: int, generator: torch.Generator
    ) -> Losses:
        """
        Add the gradients of a batch, and return the losses of this process.

        :param loss: from ``share``
        :param batch: size over all processes
        """
        accumulate = self.hardware.accumulate or 1
        parts = self.count * accumulate
        if parts == 1:
            losses = loss(batch, generator)
            losses['total'].backward()
            return losses
        begin, rows = generator.get_state(), []
        for index in range(accumulate):
            generator.set_state(begin)
            share = BatchShare(generator, index * self.count + self.rank, parts)
            with self._no_sync(loss, module, index + 1 < accumulate):
                losses = loss(batch // parts, share)
                (losses['total'] / accumulate).backward()
            rows.append({name: value.detach() for name, value in losses.items()})
        return {name: torch.stack([row[name] for row in rows]).mean() for name in rows[0]}

    def check(self, batch: int) -> None:
        """
        Refuse a batch that cannot be divided evenly.

        :raises ConfigurationError: if it is no multiple of processes x micro-batches
        """
        check_batches({'': batch}, self.count, self.hardware.accumulate)

    def mean(self, losses: Losses) -> dict[str, float]:
        """Return the losses averaged over the processes; all must call."""
        rows = torch.stack([value.detach().float() for value in losses.values()])
        if self.count > 1:
            rows = self._accelerator.reduce(rows.to(self.device), 'mean')
        return dict(zip(losses, rows.tolist(), strict=True))

    def least(self, number: float) -> float:
        """Return the smallest of the numbers of all processes; all must call."""
        if self.count == 1:
            return number
        mine = torch.tensor([number], dtype=torch.float64, device=self.device)
        return float(self._accelerator.gather(mine).min())

    def rows(self, count: int) -> Tensor:
        """
        Return the rows of this process of ``count`` in total: as many as of each other process.

        The last rows are repeated where the division leaves a remainder.
        """
        each = -(-count // self.count)
        return torch.arange(self.rank * each, (self.rank + 1) * each).clamp(max=count - 1)

    def join(self, part: Tensor, count: int) -> Tensor:
        """Return the results of all processes for ``rows``, (count, ...); all must call."""
        if self.count == 1:
            return part
        joined: Tensor = self._accelerator.gather(part.to(self.device).contiguous())
        return joined[:count].to(part.device)

    def autocast(self) -> AbstractContextManager[None]:
        """Return a context that computes in the precision of the run."""
        if self.hardware.precision == 'fp32':
            return nullcontext()
        context: AbstractContextManager[None] = self._accelerator.autocast()
        return context

    @contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """Run the block in the first process, then in the others, which find its files."""
        with self._accelerator.main_process_first():
            yield

    def wait(self) -> None:
        """Wait until all processes have called."""
        self._accelerator.wait_for_everyone()

    def close(self) -> None:
        """Leave the process group."""
        self._accelerator.end_training()

    @contextmanager
    def _no_sync(self, loss: LossFunction, module: nn.Module, skip: bool) -> Iterator[None]:
        """Skip the sum of gradients over the processes until the last micro-batch."""
        if self.is_spread(module):
            set_sync(module, not skip)
            yield
        elif skip and isinstance(loss, DistributedDataParallel):
            with loss.no_sync():
                yield
        else:
            yield


class _Module(nn.Module):
    """A loss as the forward pass of the trained module, which DistributedDataParallel requires."""

    def __init__(self, module: nn.Module, loss: LossFunction) -> None:
        super().__init__()
        self.module, self._loss = module, loss

    def forward(self, batch: int, source: Source) -> dict[str, Tensor]:
        """Return the losses of a batch."""
        return dict(self._loss(batch, source))
