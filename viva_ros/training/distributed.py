# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The processes that train together, and what one of them computes on.

One process needs nothing; several are started by `accelerate launch` or `torchrun`. However many
they are, and in however many parts each takes its share, a step has the gradients of one process
with the whole batch: see ``draws``.
"""

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
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import setting, validate
from viva_ros.model.noise import BatchShare, Source


def can_shard(module: nn.Module) -> bool:
    """Return whether it is made of blocks that can be gathered one after the other."""
    return isinstance(getattr(module, 'blocks', None), nn.ModuleList)


def is_sharded(module: nn.Module) -> bool:
    """Return whether it was spread already."""
    return isinstance(module, FSDPModule)


def shard(module: nn.Module, device: torch.device, precision: str) -> None:
    """
    Spread a transformer in place; its parameters are others from now on.

    :param precision: 'bf16' gathers weights in it; gradients are summed in float32
    """
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    policy = MixedPrecisionPolicy()
    if precision == 'bf16':
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    blocks: nn.ModuleList = module.blocks
    for block in blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(module, mesh=mesh, mp_policy=policy)
    for name, buffer in module.named_buffers():
        owner = module.get_submodule(name.rpartition('.')[0])
        setattr(owner, name.rpartition('.')[2], buffer.to(device))


def set_sync(module: nn.Module, sync: bool) -> None:
    """Sum gradients over the processes at the next backward pass, or not yet."""
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(sync)


def local(tensor: Tensor) -> Tensor:
    """Return this process's part of a tensor, sharing its memory."""
    tensor = tensor.detach()
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def spread_like(part: Tensor, like: Tensor) -> Tensor:
    """Put the parts of all processes together as another tensor is."""
    if not isinstance(like, DTensor) or part.ndim == 0:
        return part
    return DTensor.from_local(
        part.to(like.device), like.device_mesh, like.placements,
        shape=like.shape, stride=like.stride(),
    )  # fmt: skip


def gather(module: nn.Module, keep: bool) -> dict[str, Tensor]:
    """
    Return the whole weights by name, on the CPU; all processes call.

    :param keep: whether this process wants them; the others get none
    """
    whole = {}
    for name, parameter in module.named_parameters():
        tensor = parameter.detach()
        tensor = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if keep:
            whole[name] = tensor.cpu().clone()
    return whole


DEVICES: Final = ('auto', 'cpu', 'cuda')
PRECISIONS: Final = ('fp32', 'bf16')
PATIENCE: Final = timedelta(hours=12)  # the first process may read recordings for long

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
    accumulate: int = setting(
        1, 'Gradient accumulation: micro-batches of each step, to save memory.', at_least=1
    )
    shard: bool = setting(
        False, 'Shard the transformer weights over the processes, to save memory (FSDP).'
    )
    checkpointing: bool = setting(
        False, 'Recompute activations in the backward pass, to save memory.'
    )

    def __post_init__(self) -> None:
        validate(self)
        if self.device == 'cuda' and not torch.cuda.is_available():
            raise ConfigurationError('device is cuda, but there is none: use auto or cpu')


class Workers:
    """
    All processes, as one of them sees them.

    :raises ConfigurationError: if weights are to be spread over one process
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
        if self.hardware.shard and self.count == 1:
            raise ConfigurationError(
                'weights are to be spread over 1 process: start several with torchrun or '
                'accelerate launch, or leave out --shard'
            )

    @property
    def is_first(self) -> bool:
        """Whether this process writes what all have in common."""
        return self.rank == 0

    def place(self, module: nn.Module) -> None:
        """Move a module to the device, and spread it if that is asked for and it has blocks."""
        if not self.is_spread(module):
            module.to(self.device)
        elif not is_sharded(module):
            shard(module, self.device, self.hardware.precision)

    def is_spread(self, module: nn.Module) -> bool:
        """Return whether a module's weights are to be spread over the processes."""
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
        Add the gradients of a batch, and give its losses as this process saw them.

        :param loss: from ``share``
        :param batch: of all processes together
        """
        parts = self.count * self.hardware.accumulate
        if parts == 1:
            losses = loss(batch, generator)
            losses['total'].backward()
            return losses
        begin, seen = generator.get_state(), []
        for index in range(self.hardware.accumulate):
            generator.set_state(begin)
            share = BatchShare(generator, index * self.count + self.rank, parts)
            with self._silent(loss, module, index + 1 < self.hardware.accumulate):
                losses = loss(batch // parts, share)
                (losses['total'] / self.hardware.accumulate).backward()
            seen.append({name: value.detach() for name, value in losses.items()})
        return {name: torch.stack([row[name] for row in seen]).mean() for name in seen[0]}

    def check(self, batch: int) -> None:
        """
        Refuse a batch that cannot be shared evenly.

        :raises ConfigurationError: with the numbers
        """
        if batch % (self.count * self.hardware.accumulate):
            raise ConfigurationError(
                f'batch is {batch}, must be a multiple of {self.count} processes x '
                f'{self.hardware.accumulate} parts: change --batch or --accumulate'
            )

    def mean(self, losses: Losses) -> dict[str, float]:
        """Average losses over the processes."""
        rows = torch.stack([value.detach().float() for value in losses.values()])
        if self.count > 1:
            rows = self._accelerator.reduce(rows.to(self.device), 'mean')
        return dict(zip(losses, rows.tolist(), strict=True))

    def autocast(self) -> AbstractContextManager[None]:
        """Compute with the precision asked for."""
        if self.hardware.precision == 'fp32':
            return nullcontext()
        context: AbstractContextManager[None] = self._accelerator.autocast()
        return context

    @contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """Let the first process through, then the others: they find what it wrote."""
        with self._accelerator.main_process_first():
            yield

    def wait(self) -> None:
        """Wait until all processes are here."""
        self._accelerator.wait_for_everyone()

    def close(self) -> None:
        """Leave the others."""
        self._accelerator.end_training()

    @contextmanager
    def _silent(self, loss: LossFunction, module: nn.Module, silent: bool) -> Iterator[None]:
        """Keep gradients to this process until its last part."""
        if self.is_spread(module):
            set_sync(module, not silent)
            yield
        elif silent and isinstance(loss, DistributedDataParallel):
            with loss.no_sync():
                yield
        else:
            yield


class _Module(nn.Module):
    """A loss as a module of the weights that it trains, whichever of their methods it calls."""

    def __init__(self, module: nn.Module, loss: LossFunction) -> None:
        super().__init__()
        self.module, self._loss = module, loss

    def forward(self, batch: int, source: Source) -> dict[str, Tensor]:
        """Return the losses of a batch."""
        return dict(self._loss(batch, source))
