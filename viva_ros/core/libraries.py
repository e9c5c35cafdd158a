# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The command that installs a missing Python library where viva_ros runs.

Four places are distinguished: an environment in which pip installed viva_ros (its extras are known
there), a virtual environment of a colcon workspace, a Python that Debian or Ubuntu manages (PEP
668: pip refuses to install there), and any other Python.
"""

import shlex
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

#: Proposed virtual environment where pip may not install; docs/install.md has the same.
ENVIRONMENT: Final = '~/viva_venv'


@dataclass(frozen=True)
class Library:
    """
    A library that viva_ros imports.

    :param requirement: for pip, as in setup.py
    :param extra: of setup.py; empty if every installation by pip has the library
    :param apt: Debian and Ubuntu package; empty if there is none
    :param alone: whether pip must not install its requirements
    """

    requirement: str
    extra: str = ''
    apt: str = ''
    alone: bool = False


LIBRARIES: Final = {
    'accelerate': Library('accelerate>=1.10,<2', 'train'),
    'altair': Library('altair>=6,<7', 'report'),
    'av': Library('av>=14,<18', 'data'),
    'cuda': Library('cuda-bindings>=12.6,<14', 'tensorrt'),
    'cv2': Library('opencv-python-headless>=4.9,<6', apt='python3-opencv'),
    'diffusers': Library('diffusers>=0.42,<0.43', 'train'),
    'google': Library('protobuf>=5,<8', 'train'),
    'gym_aloha': Library('gym-aloha==0.1.5', 'sim', alone=True),
    'h5py': Library('h5py>=3.11,<4', 'data'),
    'matplotlib': Library('matplotlib>=3.9,<4', 'data'),
    'mcap': Library('mcap>=1.3,<2', 'data'),
    'mujoco': Library('mujoco>=3.8,<3.9', 'sim'),
    'numpy': Library('numpy>=1.26,<3', apt='python3-numpy'),
    'onnx': Library('onnx>=1.19,<2', 'train'),
    'onnxruntime': Library('onnxruntime>=1.20,<2'),
    'onnxscript': Library('onnxscript>=0.5,<1', 'train'),
    'openvino': Library('openvino>=2025.0,<2027', 'openvino'),
    'peft': Library('peft>=0.17,<0.20', 'train'),
    'py_trees': Library('py_trees>=2.3,<3', 'bt'),
    'pyarrow': Library('pyarrow>=17,<26', 'data'),
    'ray': Library('ray>=2.54,<3', 'ray'),
    'rich': Library('rich>=13,<16', apt='python3-rich'),
    'rosbags': Library('rosbags>=0.10.11,<0.12', 'data'),
    'safetensors': Library('safetensors>=0.5,<1', 'train'),
    'scipy': Library('scipy>=1.13,<2', 'data', apt='python3-scipy'),
    'sentencepiece': Library('sentencepiece>=0.2,<0.3', 'train'),
    'tensorboard': Library('tensorboard>=2.18,<3', 'train'),
    'tensorrt_rtx': Library('tensorrt-rtx-cu13>=1.4,<2', 'tensorrt'),
    'torch': Library('torch>=2.9,<3', 'train'),
    'transformers': Library('transformers>=4.57,<6', 'train'),
    'vl_convert': Library('vl-convert-python>=1.9,<2', 'report'),
    'yaml': Library('pyyaml>=6,<7', 'data', apt='python3-yaml'),
}

#: Modules of a ROS 2 installation.
ROS: Final = frozenset({
    'action_msgs', 'ament_index_python', 'bond', 'builtin_interfaces', 'diagnostic_msgs',
    'geometry_msgs', 'launch', 'launch_ros', 'lifecycle_msgs', 'rcl_interfaces', 'rclpy',
    'rosgraph_msgs', 'sensor_msgs', 'sensor_msgs_py', 'std_msgs', 'std_srvs', 'visualization_msgs',
})  # fmt: skip
#: Modules of this package that colcon or pip builds.
INTERFACES: Final = frozenset({'viva_ros.action', 'viva_ros.msg', 'viva_ros.srv'})


class InstallPlace(Enum):
    """Origin of this Python."""

    PIP = auto()  # pip installed viva_ros here
    VIRTUAL = auto()  # a virtual environment, into which pip did not install viva_ros
    MANAGED = auto()  # the distribution's Python: pip may not install there
    OPEN = auto()  # another Python, such as conda's


def place() -> InstallPlace:
    """Return the origin of this Python."""
    if _installed_by_pip():
        return InstallPlace.PIP
    if sys.prefix != sys.base_prefix:
        return InstallPlace.VIRTUAL
    marker = Path(sysconfig.get_path('stdlib')) / 'EXTERNALLY-MANAGED'
    return InstallPlace.MANAGED if marker.exists() else InstallPlace.OPEN


def remedy(modules: Iterable[str], where: InstallPlace | None = None) -> str:
    """
    Return 'run: ' and the command that installs libraries for this Python.

    :param modules: names of LIBRARIES, as in an import statement
    :param where: origin of the Python; None: of this one
    """
    libraries = [LIBRARIES[name] for name in modules]
    where = where or place()
    if where is not InstallPlace.MANAGED:
        return f'run: {_pip([sys.executable, "-m", "pip", "install"], libraries, where)}'
    if all(library.apt for library in libraries):
        return f'run: sudo apt install {" ".join(library.apt for library in libraries)}'
    pip = _pip(['pip', 'install'], libraries, where)
    return (
        f'run: python3 -m venv --system-site-packages {ENVIRONMENT} && '
        f'. {ENVIRONMENT}/bin/activate && {pip}; then start it again in this shell'
    )


def explain(error: ImportError) -> str | None:
    """Return the missing library and the remedy; None if no installation provides it."""
    module = (error.name or '').partition('.')[0]
    if module in LIBRARIES:
        return f'{module} is not installed; {remedy(_missing_with(module))}'
    name = error.name if error.name in INTERFACES else module
    if name not in ROS | INTERFACES or not isinstance(error, ModuleNotFoundError):
        return None
    if place() is InstallPlace.PIP:
        pip = [sys.executable, '-m', 'pip', 'install', 'viva_ros[ros]']
        return f'{name} is not installed; run: {shlex.join(pip)}'
    return (
        f'{name} is not found; source ROS 2 and the workspace, such as: '
        '. /opt/ros/jazzy/setup.bash && . install/setup.bash'
    )


def _missing_with(module: str) -> list[str]:
    """Return a missing library and all other missing libraries of its extra."""
    extra = LIBRARIES[module].extra
    others = [name for name in LIBRARIES if extra and LIBRARIES[name].extra == extra]
    return [name for name in others or [module] if name == module or find_spec(name) is None]


def _installed_by_pip() -> bool:
    """Return whether the metadata names an installer: the metadata of colcon does not."""
    try:
        return metadata.distribution('viva_ros').read_text('INSTALLER') is not None
    except metadata.PackageNotFoundError:
        return False


def _pip(pip: Sequence[str], libraries: Sequence[Library], where: InstallPlace) -> str:
    """Return a command line; two if a library must be installed without its requirements."""
    alone = [library.requirement for library in libraries if library.alone]
    others = [library for library in libraries if not library.alone]
    wanted = [library.requirement for library in others]
    if where is InstallPlace.PIP and others and all(library.extra for library in others):
        wanted = [f'viva_ros[{",".join(sorted({library.extra for library in others}))}]']
    lines = [[*pip, *wanted]] * bool(wanted) + [[*pip, '--no-deps', *alone]] * bool(alone)
    return ' && '.join(shlex.join(line) for line in lines)
