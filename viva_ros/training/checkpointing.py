# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The state of a run on disk: ``run.json``, and the state of each stage in safetensors.

Files are written atomically. Sharded weights have one file for each process and step; an index,
written after all of them, names the valid step. A run that is killed at any moment, in any
process, resumes from the last complete state.
"""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import WanTransformer3DModel
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from viva_ros.console.provenance import command_line, processor, revision, versions
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.data.split import TRAIN, VALIDATION
from viva_ros.model import checkpoint
from viva_ros.model.config import ADDED, ViVaConfig
from viva_ros.training.config import TrainConfig
from viva_ros.training.dataset import Data
from viva_ros.training.distributed import Workers


@dataclass(frozen=True)
class StateFile:
    """
    The state file of a stage, as one process reads and writes it.

    :param stage: name of the stage
    :param rank: of this process
    :param parts: number of files; 1 unless weights are sharded over processes
    :param wait: barrier of all processes
    """

    folder: Path
    stage: str
    rank: int = 0
    parts: int = 1
    wait: Callable[[], None] = lambda: None

    def write(self, step: int, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
        """
        Write the state after a step; all processes must call.

        Only a process that writes copies the tensors to the CPU: without --shard it is the first.
        """
        metadata = {'step': str(step), **about}
        if self.parts == 1:
            if self.rank == 0:
                write_atomically(self._path, save(_on_cpu(tensors), metadata))
            self.wait()
            return
        write_atomically(self._part(step), save(_on_cpu(tensors), metadata))
        self.wait()
        if self.rank == 0:
            write_atomically(self._index, json.dumps({'step': step, 'parts': self.parts}))
            for path in self.folder.glob(f'{self.stage}.state-*'):
                if path.name.split('-')[1] != f'{step:08d}':
                    path.unlink(missing_ok=True)
        self.wait()

    def read(self) -> tuple[dict[str, str], dict[str, Tensor]] | None:
        """
        Return metadata and tensors of the last complete state; None if there is none.

        :raises ConfigurationError: if it was written by another number of processes
        :raises RecordingError: if it cannot be read
        """
        return self._read(tensors=True)

    def about(self) -> dict[str, str]:
        """Return the metadata of ``read``, without the tensors; empty without a state."""
        found = self._read(tensors=False)
        return {} if found is None else found[0]

    def _read(self, tensors: bool) -> tuple[dict[str, str], dict[str, Tensor]] | None:
        self.wait()  # no process may delete a file before all have looked
        if self.rank == 0:
            for partial in self.folder.glob(f'.{self.stage}.state*.tmp'):  # killed while writing
                partial.unlink(missing_ok=True)
        path = self._path if self.parts == 1 else self._indexed_part()
        other = self._index if self.parts == 1 else self._path
        if other.is_file():
            raise ConfigurationError(
                'state-shard-differs',
                f'{other} was written with{"" if self.parts == 1 else "out"} --shard: continue '
                'the same way, or choose another --out',
            )
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, 'pt') as file:
                names = file.keys() if tensors else ()
                return file.metadata(), {name: file.get_tensor(name) for name in names}
        except (OSError, SafetensorError) as error:
            raise RecordingError(
                'state-unreadable', f'{path} cannot be read ({error}): delete it'
            ) from error

    def _indexed_part(self) -> Path | None:
        if not self._index.is_file():
            return None
        content: dict[str, Any] = json.loads(self._index.read_text(encoding='utf-8'))
        if content['parts'] != self.parts:
            raise ConfigurationError(
                'state-processes-differ',
                f'{self._index} was written by {content["parts"]} processes, now there are '
                f'{self.parts}: continue with {content["parts"]}, or choose another --out',
            )
        return self._part(content['step'])

    @property
    def _path(self) -> Path:
        return self.folder / f'{self.stage}.state'

    @property
    def _index(self) -> Path:
        return self.folder / f'{self.stage}.state.json'

    def _part(self, step: int) -> Path:
        return self.folder / f'{self.stage}.state-{step:08d}-{self.rank}of{self.parts}'


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.contiguous().cpu().clone() for key, value in tensors.items()}


DESCRIPTION: Final = 'run.json'
STARTS: Final = 'starts'


def describe(
    run: TrainConfig, config: ViVaConfig, learn: Data, hold: Data | None
) -> dict[str, Any]:
    """Return all settings and data that the weights depend on, without the hardware."""
    names = [label['name'] for label in learn.labels]
    content = {
        'config': config.to_dict(), 'plan': asdict(run.plan), 'augment': asdict(run.augment),
        'seed': run.seed, 'copies': run.copy_count, 'lora': run.lora, 'head': run.head,
        'backbone': None if run.backbone is None else str(run.backbone.resolve()),
        'init': None if run.init is None else _fingerprint(run.init),
        'shard': run.hardware.shard, 'train': len(learn.labels), 'moments': len(learn.images),
        'episodes': hashlib.sha256('\n'.join(names).encode()).hexdigest()[:16],
        'validation': [] if hold is None else [label['name'] for label in hold.labels],
        'training_data': learn.digest, 'validation_data': '' if hold is None else hold.digest,
    }  # fmt: skip
    return dict(json.loads(json.dumps(content)))


def begin(
    run: TrainConfig, content: Mapping[str, Any], workers: Workers,
    micro_batches: Mapping[str, int | None] | None = None, warnings: Sequence[str] = (),
) -> None:  # fmt: skip
    """
    Write ``run.json``, or check that a resumed run has the same settings, and append the start.

    :param content: from ``describe``
    :param micro_batches: of a step, by stage
    :param warnings: about the run
    :raises ConfigurationError: if a setting or the data differ; it names the first
    """
    path, starts = run.out / DESCRIPTION, []
    if path.is_file():
        before = json.loads(path.read_text(encoding='utf-8'))
        starts = before.pop(STARTS, [])
        before['config'] = {**_added(), **before.get('config', {})}
        for name, old, new in _differences('', before, content):
            raise ConfigurationError(
                'run-differs',
                f'{path} was started with {name} {old!r}, now it is {new!r}: choose another '
                f'--out; with --cache {run.cache_folder} no image is decoded again',
            )
    start = {
        'command': command_line('train'), 'git': revision(), 'environment': environment(),
        'processes': workers.count, 'hardware': asdict(run.hardware),
        'micro_batches': dict(micro_batches or {}), 'warnings': list(warnings),
    }  # fmt: skip
    write_atomically(path, json.dumps({**content, STARTS: [*starts, start]}, indent=1) + '\n')


def _added() -> dict[str, Any]:
    """Return the defaults of the fields of ``ViVaConfig`` that earlier versions did not write."""
    defaults = {one.name: one.default for one in fields(ViVaConfig) if one.name in ADDED}
    return dict(json.loads(json.dumps(defaults)))


def end(run: TrainConfig, verdict: Sequence[str]) -> None:
    """Write the verdict to the last start in ``run.json``."""
    path = run.out / DESCRIPTION
    content = json.loads(path.read_text(encoding='utf-8'))
    content[STARTS][-1]['verdict'] = list(verdict)
    write_atomically(path, json.dumps(content, indent=1) + '\n')


def last_micro_batches(folder: Path) -> dict[str, int]:
    """Return the micro-batches of the last start of a run, by stage; empty without one."""
    if not (folder / DESCRIPTION).is_file():
        return {}
    starts = started(folder)
    found = starts[-1].get('micro_batches', {}) if starts else {}
    return {name: number for name, number in found.items() if number}


def started(folder: Path) -> list[dict[str, Any]]:
    """Return the starts of a run in order."""
    return list(json.loads((folder / DESCRIPTION).read_text(encoding='utf-8'))[STARTS])


def _differences(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, old and new value of the leaves in which two trees differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _differences(f'{name}.{key}'.lstrip('.'), old.get(key), new.get(key))
    elif old != new:
        yield name, old, new


LAYERS: Final = r'.*\.(attn[12]\.(to_q|to_k|to_v|to_out\.0)|ffn\.net\.(0\.proj|2))'
HEAD: Final = 'proj_out'


def add(transformer: WanTransformer3DModel, rank: int) -> None:
    """Freeze a transformer and add LoRA adapters, initially of zero effect, to its layers."""
    transformer.requires_grad_(False)
    inject_adapter_in_model(adapter_config(rank), transformer)
    transformer.get_submodule(HEAD).requires_grad_(True)
    for parameter in transformer.parameters():
        if parameter.requires_grad:  # also if the frozen weights are bfloat16
            parameter.data = parameter.data.float()


def adapter_config(rank: int) -> LoraConfig:
    """Return the configuration of the adapters for peft."""
    return LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=LAYERS)


def write(folder: Path, transformer: WanTransformer3DModel, rank: int) -> None:
    """Write the adapters in the layout of peft, and the output layer to the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    adapters = {k: v.contiguous() for k, v in get_peft_model_state_dict(transformer).items()}
    head = transformer.get_submodule(HEAD).state_dict()
    write_atomically(folder / 'adapter_model.safetensors', save(adapters))
    write_atomically(folder / f'{HEAD}.safetensors', save(head))
    described = adapter_config(rank).to_dict()
    content = json.dumps(described, default=lambda value: sorted(value), indent=1)
    write_atomically(folder / 'adapter_config.json', content + '\n')


def merge(transformer: WanTransformer3DModel) -> None:
    """Merge the adapters into the weights in float32, and remove them."""
    transformer.float()
    for name, layer in list(transformer.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge(safe_merge=True)
            owner = transformer.get_submodule(name.rpartition('.')[0])
            setattr(owner, name.rpartition('.')[2], layer.get_base_layer())
    transformer.requires_grad_(True)


def provenance(
    run: TrainConfig, learn: Data, hold: Data | None, final: Mapping[str, float]
) -> dict[str, Any]:
    """
    Return command, seeds, data and metrics, for JSON.

    :param final: metrics on validation recordings at the end
    """
    libraries = {name: version(name) for name in ('torch', 'diffusers', 'numpy')}
    return {
        'command': command_line('train'), 'git': revision(),
        'seed': run.seed, 'plan': asdict(run.plan), 'augment': asdict(run.augment),
        'lora': run.lora, 'head': run.head, 'hardware': asdict(run.hardware),
        'backbone': None if run.backbone is None else run.backbone.name,
        'episodes': len(learn.labels), 'moments': len(learn.images),
        'successes': sum(bool(label['success']) for label in learn.labels),
        'episode_seeds': sorted({label['seed'] for label in learn.labels if label['seed']}),
        'episode_identities': all_identities(run, learn, hold),
        'init': None if run.init is None else _begun(run.init),
        'held_out': dict(final), 'python': platform.python_version(), 'libraries': libraries,
    }  # fmt: skip


def identities(learn: Data, hold: Data | None = None) -> dict[str, list[str]]:
    """Return the content identities of the training and the validation episodes, sorted."""
    parts = {TRAIN: learn.labels, VALIDATION: [] if hold is None else hold.labels}
    return {
        part: sorted({one for label in of for one in label['identities']})
        for part, of in parts.items()
    }


def all_identities(
    run: TrainConfig, learn: Data, hold: Data | None
) -> dict[str, list[str]] | None:
    """
    Return ``identities`` of a run and of the checkpoint that it starts from.

    :returns: None if the checkpoint does not name its episodes
    """
    found = identities(learn, hold)
    if run.init is None:
        return found
    before = checkpoint.read_description(run.init)['provenance'].get('episode_identities')
    if before is None:
        return None
    return {part: sorted({*mine, *before.get(part, [])}) for part, mine in found.items()}


def _begun(folder: Path) -> dict[str, Any]:
    """Return the fingerprint of a checkpoint and what it was trained on, for JSON."""
    before = checkpoint.read_description(folder)['provenance']
    kept = ('episodes', 'episode_seeds', 'init')
    return {
        'fingerprint': _fingerprint(folder), **{k: before[k] for k in kept if before.get(k)}
    }  # fmt: skip


def _fingerprint(folder: Path) -> str:
    content = checkpoint.read_description(folder)
    return checkpoint.fingerprint(content['sha256'], content['config'], content['ranges'])


LIBRARIES: Final = (
    'viva_ros', 'torch', 'diffusers', 'accelerate', 'peft', 'safetensors', 'numpy', 'tensorboard',
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Return interpreter, libraries and hardware, for JSON."""
    cuda = torch.cuda.is_available()
    found = versions(LIBRARIES)
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        'python': platform.python_version(), 'platform': platform.platform(),
        'libraries': {name: found.get(name) for name in LIBRARIES},
        'processor': processor(), 'cores': os.cpu_count(), 'threads': torch.get_num_threads(),
        'gpus': gpus, 'cuda': torch.version.cuda if cuda else None,
    }  # fmt: skip
