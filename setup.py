# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Build viva_ros with pip, on a machine without a ROS 2 installation.

colcon does not use this file: package.xml says ament_cmake. Here the same CMakeLists.txt runs
against the ROS 2 wheels of PyPI, and what it installs goes into the wheel, so that the virtual
environment becomes the ROS prefix.
"""

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from setuptools import Command, Distribution, find_packages, setup
from setuptools.command.build import build

HERE = Path(__file__).resolve().parent
SHARED = ('config', 'engines', 'examples', 'launch')

# Without the extra 'ros' nothing of ROS is asked for: it would hide one that apt installed.
EXTRAS = {
    'ros': [
        'ros-rclpy~=9.1',  # Kilted; 7.1 is Jazzy, under the same name
        'ros-rmw-fastrtps-cpp~=9.3',  # Kilted's, as all below
        'ros-sensor-msgs~=5.5',
        'ros-std-msgs~=5.5',
        'ros-std-srvs~=5.5',
        'ros-action-msgs~=2.3',  # cancelling a goal of whatever action
        'ros-geometry-msgs~=5.5',
        'ros-visualization-msgs~=5.5',
        'ros-diagnostic-msgs~=5.5',
        'ros-lifecycle-msgs~=2.3',
        'ros-rcl-interfaces~=2.3',
    ],
    'sim': [
        'mujoco>=3.8,<3.9',  # a seed gives the same episode for one version of the physics
    ],
    'data': [
        'mcap>=1.3,<2',  # the writer's interface of 1.x
        'rosbags>=0.10.11,<0.12',  # typestores with the messages of Kilted; 0.x may change shape
        'matplotlib>=3.9,<4',
        'av>=14,<18',  # FFmpeg with its encoders, in one wheel: video of LeRobot datasets
        'pyarrow>=17,<26',  # parquet
        'h5py>=3.11,<4',  # HDF5 of ALOHA and robomimic; 3.11 is the first for NumPy 2
        'scipy>=1.13,<2',  # figures and their intervals
        'pyyaml>=6,<7',  # the map of topics to cameras and joints
    ],
    'report': [  # `viva evaluate --report`
        'altair>=6,<7',  # declares the charts; a major version is one of Vega-Lite
        'vl-convert-python>=1.9,<2',  # Vega as one script, so that the page needs no network
    ],
    'train': [
        'torch>=2.9,<3',  # weights_only loading and the dynamo exporter
        'diffusers>=0.42,<0.43',  # the Wan classes' inner names are used for injection
        'safetensors>=0.5,<1',
        'onnx>=1.19,<2',  # opset 23
        'onnxscript>=0.5,<1',
        'accelerate>=1.10,<2',  # one process or many, bf16, FSDP
        'peft>=0.17,<0.20',  # LoRA on diffusers' modules
        'tensorboard>=2.18,<3',  # held-out curves
        'transformers>=4.57,<6',  # umT5, for `viva embed` alone
        'sentencepiece>=0.2,<0.3',  # its tokenizer
        'protobuf>=5,<8',  # which reads the tokenizer's file
    ],
    'bt': ['py_trees>=2.3,<3'],  # examples/behaviour_tree.py
    'openvino': ['openvino>=2025.0,<2027'],  # reads ONNX from memory; faster than onnxruntime
    'tensorrt': [
        'tensorrt-rtx-cu13>=1.4,<2',  # compute capabilities to build ahead for
        'cuda-bindings>=12.6,<14',  # imports without a driver
    ],
    'ray': ['ray>=2.54,<3'],  # `viva score --ray`; tokens came with 2.52
    'docs': [  # scripts/docs
        'mkdocs-material>=9.7,<10',  # fixes until May 2027; mkdocs.yml names its successor
        'mkdocstrings-python>=2,<3',  # the Python API, from the sources: nothing is imported
        'docutils>=0.21,<1',  # CHANGELOG.rst as a page
        'ruff>=0.14,<0.18',  # wraps long signatures
    ],
    'audit': [  # scripts/lock, sbom, licences and audit
        'uv>=0.9,<0.14',  # resolves for all Pythons at once, with hashes
        'cyclonedx-python-lib[json-validation]>=11,<12',  # SBOM, checked with its schema
        'license-expression>=30,<31',  # SPDX
        'pip>=25.3',  # metadata of packages that are not installed
        'pip-audit>=2.9,<3',  # advisories of PyPI
        'pyyaml>=6,<7',  # advisories of a local database
    ],
    'test': [
        'pytest>=8,<10',
        'pytest-timeout>=2.3,<3',
        'pytest-xdist>=3.6,<4',  # two workers: most tests wait more than they compute
        'hypothesis>=6.100,<7',
        'py_trees>=2.3,<3',  # the example of a condition is run
        'psutil>=6',
        'playwright>=1.50,<2',  # drives a real browser: the report is looked at in one
        'mypy>=1.15,<3',
        'ruff>=0.14,<0.18',  # a new minor version has new rules
    ],
}


class BinaryDistribution(Distribution):
    """A distribution with compiled files."""

    def has_ext_modules(self):
        return True


class BuildInterfaces(Command):
    """Run CMake and pass the files it installs on to install_data."""

    description = 'build the interfaces with CMake'
    user_options = []  # noqa: RUF012 (setuptools wants it so)
    editable_mode = False

    def initialize_options(self):
        self.build_temp = None

    def finalize_options(self):
        self.set_undefined_options('build', ('build_temp', 'build_temp'))

    def get_source_files(self):
        return ['CMakeLists.txt', 'package.xml']

    def get_outputs(self):
        return []

    def get_output_mapping(self):
        return {}

    def run(self):
        stage = self._build()
        data = {}
        for path in sorted(p for p in stage.rglob('*') if p.is_file()):
            if self._is_wanted(path.relative_to(stage)):
                data.setdefault(str(path.relative_to(stage).parent), []).append(str(path))
        self.distribution.data_files = sorted(data.items())
        if self.editable_mode:  # setuptools leaves data files out of editable installs
            self.run_command('install_data')
            link_shared()

    def _build(self):
        prefix = Path(distribution('ros-rosidl-cmake').locate_file('')).resolve().parents[2]
        env = dict(os.environ)
        for name, value in (
            ('AMENT_PREFIX_PATH', prefix),
            ('CMAKE_PREFIX_PATH', prefix),
            ('LD_LIBRARY_PATH', prefix / 'lib'),
        ):
            env[name] = os.pathsep.join(filter(None, [str(value), env.get(name)]))
        temp = Path(self.build_temp).resolve() / 'cmake'
        stage = temp / 'stage'
        options = {
            'CMAKE_INSTALL_PREFIX': stage,
            'CMAKE_BUILD_TYPE': 'Release',
            'BUILD_TESTING': 'OFF',
            'Python3_EXECUTABLE': sys.executable,
            'CMAKE_PROJECT_INCLUDE': HERE / 'cmake' / 'pypi_wheels.cmake',
        }
        defines = [f'-D{name}={value}' for name, value in options.items()]
        for args in (
            ['-S', HERE, '-B', temp, '-G', 'Ninja', *defines],
            ['--build', temp],
            ['--install', temp],
        ):
            subprocess.run(['cmake', *args], env=env, check=True)
        return stage

    def _is_wanted(self, path):
        if '.egg-info' in str(path) or '__pycache__' in path.parts:
            return False
        if path.parts[0] == 'bin':  # pip makes this program from entry_points
            return False
        if self.editable_mode and path.parts[:2] == ('share', 'viva_ros'):
            return path.parts[2] not in SHARED  # they become links
        # A source file is brought by build_py or the editable install.
        in_module = 'site-packages' in path.parts
        return not (in_module and (HERE / Path(*path.parts[3:])).exists())


def link_shared():
    """Make the environment's share folder show the checkout's files, so that edits count."""
    share = Path(sys.prefix) / 'share' / 'viva_ros'
    share.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        link = share / name
        if not link.is_symlink() and not link.exists():
            link.symlink_to(HERE / name)


build.sub_commands = [('build_interfaces', None), *build.sub_commands]

setup(
    name='viva_ros',
    version='0.1.0',
    license='Apache-2.0',
    description='Watches a robot at work: value, forecast and alerts by the ViVa model',
    author='The viva_ros authors',
    maintainer='The viva_ros maintainers',
    maintainer_email='viva_ros@users.noreply.github.com',  # GitHub delivers nothing to it
    url='https://github.com/viva-ros/viva_ros',
    project_urls={'Bug Tracker': 'https://github.com/viva-ros/viva_ros/issues'},
    package_dir={'': '.'},  # with it an editable install is a .pth file, not an import hook
    packages=find_packages(include=['viva_ros', 'viva_ros.*']),
    package_data={'viva_ros': ['py.typed'], 'viva_ros.evaluation': ['*.html']},
    python_requires='>=3.11,<3.14',  # numpy 2.4 starts, the ROS wheels end there
    install_requires=[
        'numpy>=1.26,<3',  # 1.26 is Ubuntu 24.04's
        'opencv-python-headless>=4.9,<6',  # no window is opened: the headless build
        'onnxruntime>=1.20,<2',  # opset 21 and up
        'rich>=13,<16',
    ],
    extras_require=EXTRAS,
    entry_points={'console_scripts': ['viva = viva_ros.cli.main:main']},
    distclass=BinaryDistribution,
    cmdclass={'build_interfaces': BuildInterfaces},
)
