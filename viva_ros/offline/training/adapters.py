# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
LoRA on the linear layers of attention and feed-forward: fine-tuning that fits one GPU.

The output layer is trained whole besides: it meets frames of one number, which no image is.
"""

import json
from pathlib import Path
from typing import Final

from diffusers import WanTransformer3DModel
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save

from viva_ros.core.files import write_atomically

LAYERS: Final = r'.*\.(attn[12]\.(to_q|to_k|to_v|to_out\.0)|ffn\.net\.(0\.proj|2))'
HEAD: Final = 'proj_out'


def add(transformer: WanTransformer3DModel, rank: int) -> None:
    """Freeze a transformer and put adapters, which change nothing yet, beside its layers."""
    transformer.requires_grad_(False)
    inject_adapter_in_model(adapter_config(rank), transformer)
    transformer.get_submodule(HEAD).requires_grad_(True)
    for parameter in transformer.parameters():
        if parameter.requires_grad:  # also where the frozen weights are bfloat16
            parameter.data = parameter.data.float()


def adapter_config(rank: int) -> LoraConfig:
    """Give peft's description of the adapters."""
    return LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=LAYERS)


def write(folder: Path, transformer: WanTransformer3DModel, rank: int) -> None:
    """Write the adapters as peft does, and the output layer beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    adapters = {k: v.contiguous() for k, v in get_peft_model_state_dict(transformer).items()}
    head = transformer.get_submodule(HEAD).state_dict()
    write_atomically(folder / 'adapter_model.safetensors', save(adapters))
    write_atomically(folder / f'{HEAD}.safetensors', save(head))
    described = adapter_config(rank).to_dict()
    content = json.dumps(described, default=lambda value: sorted(value), indent=1)
    write_atomically(folder / 'adapter_config.json', content + '\n')


def merge(transformer: WanTransformer3DModel) -> None:
    """Add the adapters to the weights in float32, and take them away."""
    transformer.float()
    for name, layer in list(transformer.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge(safe_merge=True)
            owner = transformer.get_submodule(name.rpartition('.')[0])
            setattr(owner, name.rpartition('.')[2], layer.get_base_layer())
    transformer.requires_grad_(True)
