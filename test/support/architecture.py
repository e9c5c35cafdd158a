# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The architecture of the package, read from its imports with ``ast``, without importing it."""

import ast
import sys
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = 'viva_ros'
#: Folders that ROS 2 generates.
INTERFACES: Final = frozenset({'action', 'msg', 'srv'})
#: Libraries that come with a ROS 2 installation.
ROS: Final = frozenset({
    'action_msgs', 'ament_index_python', 'bond', 'builtin_interfaces', 'cv_bridge',
    'diagnostic_msgs', 'diagnostic_updater', 'geometry_msgs', 'launch', 'launch_ros',
    'lifecycle_msgs', 'rcl_interfaces', 'rclpy', 'rosgraph_msgs', 'sensor_msgs',
    'sensor_msgs_py', 'std_msgs', 'std_srvs', 'visualization_msgs',
})  # fmt: skip
ANY: Final = 'any library but ROS'
#: Libraries that run engines, each wrapped by one file of engine/backends/.
ENGINES: Final = frozenset({
    'cuda', 'onnxruntime', 'openvino', 'pycuda', 'safetensors', 'tensorrt', 'tensorrt_rtx', 'torch'
})  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """
    Allowed imports of a folder of the package.

    :param ours: other folders, or modules such as 'engine.image_decoding'
    :param libraries: names of libraries, or ANY
    :param why: purpose of the rule
    """

    ours: frozenset[str]
    libraries: frozenset[str]
    why: str


def _layer(ours: str, libraries: str | frozenset[str], why: str) -> Layer:
    if isinstance(libraries, str):
        libraries = frozenset({ANY} if libraries == ANY else libraries.split())
    return Layer(frozenset(ours.split()), libraries, why)


LAYERS: Final[Mapping[str, Layer]] = {
    'core': _layer('', 'numpy', 'judged in milliseconds, without ROS, clock or GPU'),
    'metrics': _layer('core', 'numpy scipy', 'a figure is a function of arrays'),
    'model': _layer('core', 'numpy torch diffusers safetensors', 'one network everywhere'),
    'engine': _layer('core', 'numpy cv2', 'a robot installs one backend'),
    'console': _layer('core', 'rich', 'progress and processes look alike in all commands'),
    'robot': _layer(
        'core engine.image_decoding', 'numpy yaml', 'one description for recordings and the robot'
    ),
    'data': _layer(
        'core robot engine.image_decoding engine.video_decoding', ANY,
        'same pixels live and recorded',
    ),
    'scoring': _layer('core engine data console', ANY, 'scoring needs no torch'),
    'calibration': _layer(
        'core engine data scoring console', ANY, 'thresholds come from scored values'
    ),
    'advantage': _layer('core metrics data scoring console', ANY, 'works on tables of values'),
    'training': _layer(
        'core metrics model engine.preprocessing data console', ANY,
        'same pixels in training and on the robot',
    ),
    'export': _layer(
        'core model engine data training.dataset console', ANY, 'an engine equals its checkpoint'
    ),
    'visualization': _layer(
        'core engine data scoring console', ANY, 'a plot shows the recording'
    ),
    'evaluation': _layer(
        'core metrics engine data scoring calibration visualization console', ANY,
        'judged by the code that runs live',
    ),
    'sim': _layer('core data console', ANY, 'a recorded episode is a recording'),
    'nodes': _layer(
        'core robot engine action msg srv', ROS | {'numpy', 'cv2', 'yaml'}, 'a node sees no tensor'
    ),
    'bringup': _layer(
        'core engine nodes', ROS | {'numpy', 'yaml'}, 'nodes start without desktop libraries'
    ),
    'doctor': _layer('core engine robot nodes', ROS | {'numpy'}, 'runs on the robot'),
    'demo': _layer(
        'core engine console data bringup nodes sim visualization msg srv', ROS | {ANY},
        'a user of all',
    ),
    'cli': _layer(
        'core metrics model engine console robot data scoring calibration advantage training '
        'export visualization evaluation sim nodes bringup doctor demo msg srv', ROS | {ANY},
        'a command is a leaf: nothing imports it',
    ),
}  # fmt: skip

#: File to its additional allowed imports, and the reason.
BEYOND: Final[Mapping[str, tuple[str, str]]] = {
    'nodes/black_box.py': ('data', 'it writes recordings'),
    'nodes/sim.py': ('sim', 'it carries the simulation'),
    'nodes/settings.py': (
        'sim.robots.registry sim.tasks.registry',
        'parameters list what can be simulated',
    ),
    'engine/video_decoding.py': ('av', 'the library that it wraps'),
    'engine/backends/pytorch.py': ('model torch', 'the engine that is the model itself'),
    'engine/backends/onnx.py': ('onnxruntime', 'the library that it wraps'),
    'engine/backends/openvino.py': ('openvino', 'the library that it wraps'),
    'engine/backends/cuda.py': ('cuda pycuda', 'the libraries that it wraps'),
    'doctor/graph_checks.py': ('data.stamps', 'steps back are those of an import'),
    'doctor/recording_checks.py': ('data', 'it reads recordings by the functions of an import'),
    'bringup/launch_file.py': ('launch launch_ros', 'it makes launch files'),
    'bringup/launch_arguments.py': ('robot.yaml_reader', 'the guard of YAML'),
}

#: Module with one importer to the reason why it is a separate module.
ALONE: Final[Mapping[str, str]] = {
    'viva_ros.advantage.files': 'tables of pyarrow apart from the arithmetic of labels',
    'viva_ros.calibration.reference': 'what is learnt apart from the threshold, which is exact',
    'viva_ros.console.program': 'signals and exit codes of console programs, benchmarks too',
    'viva_ros.core.detection.forecast_residual': 'a rule: the registry loads it by name',
    'viva_ros.data.bag.compressed_bag': 'the temporary files and limits of compressed bags',
    'viva_ros.data.bag.indexed': 'intact bags, apart from the salvage',
    'viva_ros.data.bag.mcap_salvage': 'damaged files, apart from the index of intact ones',
    'viva_ros.data.bag.split': 'files of one bag, before any of them is read',
    'viva_ros.data.conversion.convert': 'the work of `viva import`',
    'viva_ros.data.conversion.guess': 'drafts of maps; an import does without it',
    'viva_ros.data.conversion.mapped_recording': 'recordings in place, apart from an import',
    'viva_ros.data.hdf5.file': 'access to a file in many processes, without its layout',
    'viva_ros.data.hdf5.heaps': 'a fault of HDF5 2.0, by the bytes of its format',
    'viva_ros.data.hdf5.layout': 'paths of other projects, without reading a row',
    'viva_ros.data.lerobot.outcome_writer': 'it changes datasets of others, on request only',
    'viva_ros.data.lerobot.stored_images': 'images in data files, apart from the videos',
    'viva_ros.data.lerobot.writer': 'its reader is used without it',
    'viva_ros.console.import_summary': 'terminal output of an import',
    'viva_ros.data.lerobot.checks': 'cross-checks of rows and frames, apart from the reading',
    'viva_ros.data.lerobot.metadata_types': 'types of foreign metadata, apart from what they mean',
    'viva_ros.data.lerobot.thread_priority': 'capabilities of Linux: another subject than video',
    'viva_ros.demo.run': 'the work of `viva demo`; scripts/soak runs it, too',
    'viva_ros.demo.view': 'terminal output of the demo',
    'viva_ros.demo.watcher': 'the ROS node of the demo',
    'viva_ros.doctor.graph_checks': 'robot files against a running robot',
    'viva_ros.doctor.recording_checks': 'robot files against recordings, which robots do not read',
    'viva_ros.engine.backends.onnx': 'a backend: the registry loads it by name',
    'viva_ros.engine.backends.openvino': 'a backend: the registry loads it by name',
    'viva_ros.engine.backends.tensorrt': 'a backend: the registry loads it by name',
    'viva_ros.engine.video_bitstream': 'headers of packets, apart from the decoder of FFmpeg',
    'viva_ros.engine.jpeg': 'a file format, apart from the messages that carry it',
    'viva_ros.engine.isolated_process': 'a process boundary',
    'viva_ros.engine.load_slots': 'a limit among processes, apart from the process that loads',
    'viva_ros.engine.remote.client': 'a process boundary',
    'viva_ros.engine.remote.server': 'a process boundary',
    'viva_ros.evaluation.from_scores': 'evaluation of tables, without an engine',
    'viva_ros.evaluation.html_report': 'the page; loads an optional library',
    'viva_ros.evaluation.plots': 'matplotlib alone',
    'viva_ros.export.bundle': 'the work of `viva export`',
    'viva_ros.export.mixed_precision': 'one search; needs openvino',
    'viva_ros.export.parity': 'the comparison that every engine passes',
    'viva_ros.export.quantization': 'one search; needs onnx',
    'viva_ros.model.cuda_graph': 'CUDA alone',
    'viva_ros.model.pretrained': 'published weights: names of another project',
    'viva_ros.nodes.accepted_values': 'which values the supervisor judges',
    'viva_ros.nodes.alert_publisher': 'topics of the supervisor',
    'viva_ros.nodes.bond': 'a protocol of another project',
    'viva_ros.nodes.estimation': 'the worker thread of the monitor',
    'viva_ros.nodes.leadership': 'the lock among supervisors',
    'viva_ros.nodes.outputs': 'topics of the monitor',
    'viva_ros.nodes.retries': 'retries of the supervisor',
    'viva_ros.nodes.retry_client': 'services and actions of the robot',
    'viva_ros.nodes.robot_state': 'subscriptions of the supervisor',
    'viva_ros.nodes.value_cloud': 'one optional output; needs sensor_msgs_py',
    'viva_ros.nodes.value_image': 'one optional output; drawing without ROS',
    'viva_ros.robot.rosetta': 'the format of another project, apart from ours',
    'viva_ros.scoring.ray_workers': 'needs an optional library',
    'viva_ros.scoring.run': 'the work of `viva score`',
    'viva_ros.scoring.table_checks': 'what is checked in a table, apart from what is read',
    'viva_ros.scoring.workers': 'processes, apart from the job of each',
    'viva_ros.sim.ground_truth': 'judgement of an episode, without physics',
    'viva_ros.sim.recording': 'the work of `viva record`',
    'viva_ros.sim.urdf': 'the robot description for RViz',
    'viva_ros.training.losses': 'the losses, apart from the loop',
    'viva_ros.training.run': 'the work of `viva train`',
    'viva_ros.training.text_embeddings': 'the work of `viva embed`; needs transformers',
}


def python_files(folder: str = PACKAGE, root: Path = ROOT) -> list[Path]:
    """Return all sources below a folder, relative to the root, in order."""
    return sorted(path.relative_to(root) for path in (root / folder).rglob('*.py'))


def module_of(path: Path) -> str:
    """Return the full name of a module."""
    return '.'.join(path.with_suffix('').parts).removesuffix('.__init__')


def statements(source: str) -> Iterator[ast.AST]:
    """Yield all statements of a source, also those in others; a tenth of what ast.walk yields."""
    waiting: deque[ast.AST] = deque(ast.parse(source).body)
    while waiting:
        yield (node := waiting.popleft())
        for block in ('body', 'handlers', 'orelse', 'finalbody', 'cases'):
            waiting.extend(getattr(node, block, ()))


@cache
def imported(source: str, package: str) -> tuple[str, ...]:
    """Return the full names that a module imports, also in functions."""
    names: list[str] = []
    for node in statements(source):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(package.split('.')[: 1 - node.level or None]) if node.level else ''
            module = '.'.join(part for part in (base, node.module) if part)
            names += (f'{module}.{alias.name}' for alias in node.names)
    return tuple(names)


def violations(file: str, source: str) -> list[str]:
    """
    Return the forbidden imports of a file.

    :param file: relative to the package, such as 'core/inputs.py'
    """
    room, _, rest = file.partition('/')
    if not rest:  # __init__.py of the package
        return [f'{file} imports {name}' for name in imported(source, PACKAGE)
                if name.split('.')[0] not in sys.stdlib_module_names]  # fmt: skip
    if room not in LAYERS:
        return [f'{file} is in no layer: add the room {room} to test/support/architecture.py']
    layer = LAYERS[room]
    besides = set(BEYOND.get(file, ('', ''))[0].split())
    package = '.'.join((PACKAGE, *Path(file).parent.parts))
    found = []
    for name in imported(source, package):
        parts = name.split('.')
        if parts[0] == PACKAGE:
            target = '.'.join(parts[1:])
            mine = {room, *layer.ours, *besides}
            if target and not any(target == one or target.startswith(f'{one}.') for one in mine):
                found.append(f'{file} imports {target}')
        elif parts[0] == 'benchmarks':
            found.append(f'{file} imports {name}')
        elif parts[0] not in sys.stdlib_module_names | layer.libraries | besides and (
            ANY not in layer.libraries or parts[0] in ROS
        ):
            found.append(f'{file} imports {parts[0]}')
    return sorted(set(found))


def all_violations(root: Path = ROOT) -> list[str]:
    """Return all forbidden imports of the package."""
    return [
        line for path in python_files(root=root)
        for line in violations(
            path.relative_to(PACKAGE).as_posix(), (root / path).read_text(encoding='utf-8')
        )
    ]  # fmt: skip


@dataclass(frozen=True)
class Graph:
    """
    Graph of imports.

    :param imports: module to the modules that it imports
    """

    imports: Mapping[str, frozenset[str]]

    def importers(self) -> dict[str, set[str]]:
        """Return module to the modules that import it."""
        found: dict[str, set[str]] = defaultdict(set)
        for module, targets in self.imports.items():
            for target in targets:
                found[target].add(module)
        return found

    def circles(self) -> list[list[str]]:
        """Return groups of modules that import each other (Tarjan's components)."""
        index: dict[str, int] = {}
        low: dict[str, int] = {}
        stack: list[str] = []
        found: list[list[str]] = []

        def visit(module: str) -> None:
            index[module] = low[module] = len(index)
            stack.append(module)
            for target in sorted(self.imports[module]):
                if target not in index:
                    visit(target)
                    low[module] = min(low[module], low[target])
                elif target in stack:
                    low[module] = min(low[module], index[target])
            if low[module] == index[module]:
                group = stack[stack.index(module) :]
                del stack[stack.index(module) :]
                if len(group) > 1:
                    found.append(sorted(group))

        for module in sorted(self.imports):
            if module not in index:
                visit(module)
        return found

    def depth(self) -> dict[str, int]:
        """Return the longest chain of imports within each folder of the package."""
        floors: dict[str, int] = {}

        def floor(module: str) -> int:
            if module not in floors:
                floors[module] = 0  # of a circle
                room = module.split('.')[1:2]
                inside = [t for t in self.imports[module] if t.split('.')[1:2] == room]
                floors[module] = 1 + max(map(floor, inside), default=0)
            return floors[module]

        rooms: dict[str, int] = defaultdict(int)
        for module in self.imports:
            room = [*module.split('.'), ''][1]
            rooms[room] = max(rooms[room], floor(module))
        return rooms


def read_graph(root: Path = ROOT) -> Graph:
    """Read the imports among the modules of the package."""
    paths = {module_of(path): path for path in python_files(root=root)}
    imports = {}
    for module, path in paths.items():
        package = module if path.name == '__init__.py' else module.rpartition('.')[0]
        names = imported((root / path).read_text(encoding='utf-8'), package)
        targets = {name if name in paths else name.rpartition('.')[0] for name in names}
        imports[module] = frozenset(t for t in targets if t in paths and t != module)
    return Graph(imports)


def class_places(root: Path = ROOT) -> dict[str, list[str]]:
    """Return public class name to the modules that define it."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in python_files(root=root):
        for node in ast.parse((root / path).read_text(encoding='utf-8')).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
                places[node.name].append(module_of(path))
    return places


def modules(root: Path = ROOT) -> list[str]:
    """Return the installed modules, empty package files aside."""
    return [module_of(path) for path in python_files(root=root) if path.name != '__init__.py']


def one_importer(graph: Graph, root: Path = ROOT) -> dict[str, str]:
    """Return modules with exactly one importer, and the importer."""
    importers = graph.importers()
    return {
        module: next(iter(importers[module])) for module in modules(root)
        if len(importers.get(module, ())) == 1
    }  # fmt: skip
