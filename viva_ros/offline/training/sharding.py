# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Weights, gradients and moments spread over processes (FSDP2), block by block.

`accelerate` does this through the same `fully_shard`, but on GPUs only. Here it is called
directly, so that the tests, which have no GPU, run the lines that a cluster runs.
"""

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor


def can_shard(module: nn.Module) -> bool:
    """Tell whether it is made of blocks that can be gathered one after the other."""
    return isinstance(getattr(module, 'blocks', None), nn.ModuleList)


def is_sharded(module: nn.Module) -> bool:
    """Tell whether it was spread already."""
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
    blocks: nn.ModuleList = module.blocks  # type: ignore[assignment]
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
    """Give this process's part of a tensor, sharing its memory."""
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
    Give the whole weights by name, on the CPU; all processes call.

    :param keep: whether this process wants them; the others get none
    """
    whole = {}
    for name, parameter in module.named_parameters():
        tensor = parameter.detach()
        tensor = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if keep:
            whole[name] = tensor.cpu().clone()
    return whole
