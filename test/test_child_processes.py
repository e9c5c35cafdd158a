# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Row 31 of the fault table: every start of a process uses core/child_process.py, or is listed."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ('viva_ros', 'benchmarks', 'scripts', 'examples', 'launch')
#: Calls that start a process.
STARTS = re.compile(
    r'(subprocess\.)?(Popen|check_call|check_output|getoutput|getstatusoutput)|subprocess\.(run|call)|'
    r'(multiprocessing\.|mp\.)?(get_context|set_start_method|Process)|'
    r'(futures\.|concurrent\.futures\.)?ProcessPoolExecutor|multiprocessing\.Pool|'
    r'os\.(system|popen|fork|forkpty|exec\w+|spawn\w+|posix_spawnp?)|'
    r'asyncio\.create_subprocess_\w+|(pty|runpy)\.\w+'
)
SAFE = ('python_child', 'node_child', 'spawn_context', '_child')
#: Starts of other programs, and of pools whose context is a variable, with the reason.
LISTED = {
    ('viva_ros/bringup/ghost.py', 'subprocess.run'): 'xacro, by absolute path',
    ('viva_ros/console/provenance.py', 'subprocess.run'): 'git, in a named folder',
    ('viva_ros/sim/recording.py', 'ProcessPoolExecutor'): 'its context is spawn_context()',
    ('benchmarks/isolation.py', 'os.fork'): 'the fork runs its own code only',
    ('benchmarks/gpu/machine.py', 'subprocess.run'): 'nvidia-smi',
    ('benchmarks/isolation.py', 'multiprocessing.get_context'): 'measures multiprocessing',
    ('benchmarks/chaos/runner.py', 'subprocess.Popen'): 'a shell that keeps a core busy',
    ('benchmarks/overload/main.py', 'subprocess.Popen'): 'a shell that keeps a core busy',
    ('scripts/supply_chain/audit.py', 'subprocess.run'): 'uv and pip-audit',
    ('scripts/supply_chain/licences.py', 'subprocess.run'): 'pip, with -P',
    ('scripts/supply_chain/lock.py', 'subprocess.run'): 'uv',
}  # fmt: skip


def starts(source: str) -> list[str]:
    """Return the calls that start a process without the helper."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call):
            # Of executor.submit(subprocess.Popen, ...) the argument counts.
            names = [ast.unparse(one) for one in (call.func, *call.args)]
            named = next((one for one in names if STARTS.fullmatch(one)), None)
            if named is not None and not is_safe(call):
                found.append(named)
    return found


def is_safe(call: ast.Call) -> bool:
    """Return whether the arguments of a call come from the helper."""
    values = [*call.args, *(word.value for word in call.keywords)]
    calls = [one for value in values for one in ast.walk(value) if isinstance(one, ast.Call)]
    if not any(ast.unparse(one.func).rpartition('.')[2] in SAFE for one in calls):
        return False
    return not any(word.arg == 'shell' for word in call.keywords)


def test_every_start_of_a_process_uses_the_helper_or_is_listed():
    files = (path for room in ROOMS for path in sorted((ROOT / room).rglob('*.py')))
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in files
        for name in starts(path.read_text(encoding='utf-8'))
    }
    assert found == set(LISTED)


def test_commands_of_scripts_and_pages_leave_out_the_working_directory():
    """Modules of benchmarks/ and scripts/ are run in a checkout, from where they are imported."""
    found = []
    for room in (*ROOMS, 'docs', 'config', 'cmake', '.github', 'README.md'):
        place = ROOT / room
        for path in [place] if place.is_file() else sorted(place.rglob('*')):
            if path.is_file() and path.suffix in ('', '.md', '.sh', '.yaml', '.yml', '.py', '.in'):
                text = path.read_text(encoding='utf-8', errors='replace')
                found += [f'{path}: {line}' for line in re.findall(r'python3? -m viva_\S+', text)]
    assert found == []


def unsafe_modules(source: str) -> list[str]:
    """Return the modules of this checkout that a command line runs without -P."""
    found = []
    for line in ast.walk(ast.parse(source)):
        if isinstance(line, ast.List | ast.Tuple):
            parts = [ast.unparse(one) for one in line.elts]
            for before, option, module in zip(['', *parts], parts, [*parts[1:], ''], strict=False):
                is_ours = re.match(r"['\"](viva_ros|benchmarks|scripts|fuzz)\b|[^'\"]", module)
                if option == "'-m'" and before != "'-P'" and is_ours:
                    found.append(module)
    return found


def test_tests_start_modules_without_the_working_directory():
    """A test may start any other program, since it has none to protect."""
    found = [
        f'{path.relative_to(ROOT)}: {module}'
        for path in sorted((ROOT / 'test').rglob('*.py'))
        for module in unsafe_modules(path.read_text(encoding='utf-8'))
    ]
    assert found == []


def test_lint_finds_modules_without_safe_path():
    for line in (
        '[sys.executable, "-m", "viva_ros.nodes"]', '["-m", *line]', '("-m", what)',
        '["-m", "benchmarks.x"]',
    ):  # fmt: skip
        assert unsafe_modules(line), line
    for line in ('[sys.executable, "-P", "-m", "viva_ros.nodes"]', '["-m", "pytest"]'):
        assert not unsafe_modules(line), line


def test_lint_finds_each_way_to_start_a_process():
    lines = (
        'subprocess.run(["x"])', 'Popen(["x"])', 'os.system("x")', 'os.execv("x", [])',
        'get_context("spawn")', 'pool.submit(subprocess.Popen, ["x"])', 'Process(target=f)',
        'subprocess.run(**python_child("x"), shell=True)', 'multiprocessing.Process(target=f)',
    )  # fmt: skip
    for line in lines:
        assert starts(line), line
    for line in ('Popen(**python_child("x"))', 'ProcessPoolExecutor(1, spawn_context())'):
        assert not starts(line), line
