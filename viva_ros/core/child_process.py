# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How a child of this process starts: command line, environment and working directory.

Python runs what lies in the working directory: with ``python -m`` and ``python -c``, which
multiprocessing uses, a file argparse.py or numpy.py there takes the place of the library. An empty
entry of a search path has the same effect: ``export PYTHONPATH=$PYTHONPATH:/opt/x`` makes one
where the variable was not set. All children of this package are started with these arguments, or
by ``spawn_context`` of console/process_pool.py, which uses this environment; a test lists others.

The environment is passed except for what is named here: a list of what is allowed would have to
name the variables of each GPU, middleware and container (CUDA_*, NVIDIA_*, CYCLONEDDS_URI, ...).
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

#: Makes Python leave out the working directory, in children that others start, too.
SAFE_PATH: Final = 'PYTHONSAFEPATH'
#: Variables that make Python run a file, or wait for a keyboard at its end.
DROPPED: Final = ('PYTHONSTARTUP', 'PYTHONINSPECT')
#: Lists of folders, in which an empty or relative entry means the working directory.
SEARCH_PATHS: Final = ('PATH', 'PYTHONPATH', 'LD_LIBRARY_PATH', 'AMENT_PREFIX_PATH')
APART: Final = '/'  # working directory of a child that gets no relative path


def python_child(
    module: str, *arguments: object, env: Mapping[str, str] | None = None, apart: bool = False
) -> dict[str, Any]:
    """
    Return the arguments of ``subprocess.Popen`` for a module as a program.

    :param arguments: as texts; a ``Path`` is made absolute
    :param env: environment; default: that of this process
    :param apart: a working directory of its own, for a child whose paths are all absolute
    """
    texts = (str(one.absolute() if isinstance(one, Path) else one) for one in arguments)
    return {
        'args': [sys.executable, '-P', '-m', module, *texts],
        'env': child_environment(os.environ if env is None else env),
        'cwd': APART if apart else None,
    }


def child_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what makes a child run files of the working directory."""
    kept = {name: value for name, value in env.items() if name not in DROPPED}
    for name in SEARCH_PATHS:
        if name in kept:
            folders = search_path(kept.pop(name))
            if folders:
                kept[name] = folders
    kept[SAFE_PATH] = '1'
    return kept


def search_path(text: str) -> str:
    """
    Return a list of folders without the working directory.

    Another relative folder was named on purpose, and is made absolute.
    """
    here = Path.cwd()
    folders = []
    for entry in text.split(os.pathsep):
        if entry and (os.path.isabs(entry) or Path(os.path.abspath(entry)) != here):
            folders.append(os.path.abspath(entry) if not os.path.isabs(entry) else entry)
    return os.pathsep.join(folders)
