# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Message packages that have no wheel, built as ROS 2 builds them.

The build takes half a minute; it is kept in the temporary folder for later runs.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from viva_ros.data.messages import VIDEO_DEFINITIONS

ROOT: Final = Path(__file__).parents[2]
CMAKE: Final = """cmake_minimum_required(VERSION 3.20)
project({package})
find_package(ament_cmake REQUIRED)
find_package(builtin_interfaces REQUIRED)
find_package(rosidl_default_generators REQUIRED)
find_package(std_msgs REQUIRED)
rosidl_generate_interfaces(${{PROJECT_NAME}} msg/{kind}.msg
  DEPENDENCIES builtin_interfaces std_msgs)
"""
MANIFEST: Final = """<package format="3">
  <name>{package}</name><version>1.0.0</version><description>messages</description>
  <maintainer email="a@example.org">a</maintainer><license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  <depend>builtin_interfaces</depend><depend>std_msgs</depend>
  <exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
</package>
"""
#: Without an installation, the loader does not find these by name.
LOADED: Final = """
import ctypes
for name in ('fastrtps_c', 'introspection_c'):
    ctypes.CDLL(f'{folder}/lib{package}__rosidl_typesupport_{{name}}.so')
"""


def built(type_name: str) -> Path:
    """
    Build the package of one message type, unless it is installed.

    :param type_name: one of VIDEO_DEFINITIONS
    :returns: folder for PYTHONPATH
    """
    package, _, kind = type_name.split('/')
    installed = importlib.util.find_spec(package)
    if installed is not None and installed.origin is not None:
        return Path(installed.origin).parents[1]
    text = CMAKE + MANIFEST + LOADED + VIDEO_DEFINITIONS[type_name] + sys.prefix + sys.version
    name = f'viva_{package}_{os.getuid()}_{hashlib.sha256(text.encode()).hexdigest()[:12]}'
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / 'lock').open('w') as lock:  # of another worker
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / 'done').exists():
            _build(folder, package, kind, VIDEO_DEFINITIONS[type_name])
            (folder / 'done').touch()
    return folder / 'rosidl_generator_py'


def _build(folder: Path, package: str, kind: str, definition: str) -> None:
    source = folder / 'source'
    (source / 'msg').mkdir(parents=True, exist_ok=True)
    (source / 'msg' / f'{kind}.msg').write_text(definition)
    (source / 'CMakeLists.txt').write_text(CMAKE.format(package=package, kind=kind))
    (source / 'package.xml').write_text(MANIFEST.format(package=package))
    options = {
        'CMAKE_BUILD_TYPE': 'Release', 'Python3_EXECUTABLE': sys.executable,
        'CMAKE_PROJECT_INCLUDE': ROOT / 'cmake' / 'pypi_wheels.cmake',
    }  # fmt: skip
    environment = dict(os.environ)
    for name, value in (
        ('AMENT_PREFIX_PATH', sys.prefix), ('CMAKE_PREFIX_PATH', sys.prefix),
        ('LD_LIBRARY_PATH', f'{sys.prefix}/lib'),
    ):  # fmt: skip
        environment[name] = os.pathsep.join(filter(None, [value, environment.get(name)]))
    generator = ['-G', 'Ninja'] if shutil.which('ninja') else []
    prefix = f'{package}__rosidl_typesupport'
    targets = [f'{package}_s__rosidl_typesupport_{one}' for one in ('c', 'fastrtps_c')]
    targets += [f'{prefix}_{one}' for one in ('c', 'fastrtps_c', 'introspection_c')]
    for command in (
        ['-S', source, '-B', folder, *generator, *(f'-D{n}={v}' for n, v in options.items())],
        ['--build', folder, '--target', *targets],
    ):
        subprocess.run(['cmake', *command], env=environment, check=True, stdout=subprocess.DEVNULL)
    init = folder / 'rosidl_generator_py' / package / '__init__.py'
    init.write_text(LOADED.format(folder=folder, package=package))
