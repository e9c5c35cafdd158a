# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Import of recordings into a LeRobot dataset: resample and write each one, then join them.

An episode beyond the limits is refused; the report has the reasons.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import ConfigurationError, InputError, RecordingError
from viva_ros.core.files import remedy, write_atomically
from viva_ros.core.image_checks import PictureSettings
from viva_ros.core.json_reader import read_json
from viva_ros.core.memory import is_lack_of_memory, memory_text
from viva_ros.core.observation import Image
from viva_ros.data.bag.reader import with_definitions
from viva_ros.data.camera_check import CameraCheck, PictureRules
from viva_ros.data.conversion.annotations import Outcomes, check_table, place_of
from viva_ros.data.conversion.raw_episode import RawEpisode, raw_episodes
from viva_ros.data.conversion.resample import Figures, grid, measure, rate_of
from viva_ros.data.conversion.workspace import Staging, Unit
from viva_ros.data.episode import Episode, Frames, Label, Mark
from viva_ros.data.formats import content_hash
from viva_ros.data.joint_groups import held, joined, joints_at
from viva_ros.data.lerobot import stats
from viva_ros.data.lerobot.layout import ACTION, STATE, Shape
from viva_ros.data.lerobot.video import CODEC, check_codec, encode
from viva_ros.data.lerobot.writer import StagedEpisode, assemble
from viva_ros.data.one_recording import one_recording
from viva_ros.data.open import identity, open_unmapped, resolve
from viva_ros.data.recording import SOURCE, Recording, recording_name
from viva_ros.data.stamps import Stamps
from viva_ros.robot.topic_map import ImportLimits, TopicMap

FORMAT: Final = 6  # of a unit; units of another format are imported again
REPORT: Final = 'viva/import.json'  # in the dataset
MAP_COPY: Final = 'viva/map.yaml'  # in the dataset


class ImportEmptyError(RecordingError):
    """
    No episode could be imported.

    :param rows: ``resample.Figures`` of all episodes as dicts, with the reasons
    """

    def __init__(self, code: str, text: str, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(code, text)
        self.rows = rows


@dataclass(frozen=True)
class ImportJob:
    """
    One recording of an import.

    :param name: of its episode in the dataset
    :param codec: of its videos
    """

    path: Path
    name: str
    codec: str = CODEC


#: Applies a function to all jobs, in this process or in others; the units are in order.
Run = Callable[[Callable[[ImportJob], Unit], Sequence[ImportJob]], Iterable[Unit]]


def import_one(
    topic_map: TopicMap, outcomes: Outcomes, staging: Staging, job: ImportJob
) -> Unit:  # fmt: skip
    """
    Return the unit of a recording; import the recording unless its unit exists.

    A unit with a refused episode is made again: the remedy may have changed this machine alone.

    :raises RecordingError: if the recording cannot be read, or the disk is full
    """
    path, name = job.path, job.name
    key = key_of(job, topic_map, outcomes)
    unit = staging.find(key)
    if unit is not None and not any(row['refused'] for row in unit.figures):
        return unit
    try:
        staging.discard(key)
        lack = ''
        try:
            with staging.begin(key) as folder:
                content = _make(job, topic_map, outcomes, folder)
                if key_of(job, topic_map, outcomes) != key:
                    text = 'changed while it was imported: wait until it is written, import again'
                    content = _refusal(name, path, 'recording-changed', text)
                staging.finish_unit(folder, content)
        except Exception as error:  # libraries report a lack of memory in many types
            if not is_lack_of_memory(error):
                raise
            lack = f'{memory_text(error)}, and import it again, with another --out if it exists'
        if lack:  # what filled the memory is free now
            with staging.begin(key) as folder:
                content = _refusal(name, path, 'recording-memory', lack)
                staging.finish_unit(folder, content)
    except OSError as error:  # PyAV's errors included
        raise RecordingError(
            'import-unwritable',
            f'{staging.folder} cannot be written ({error}): {remedy(error)}; imported recordings '
            'are kept',
        ) from error
    made = staging.find(key)
    if made is None:
        raise RecordingError(
            'import-unit-missing',
            f'{staging.folder / key} was deleted: run the same command again',
        )
    return made


def _place(path: Path) -> tuple[Path, int]:
    """Return what a path names: its file or folder, or the dataset and number of an episode."""
    ref = resolve(path)
    return (ref.dataset or path).resolve(), ref.index if ref.dataset else -1


def names_of(paths: Sequence[Path], roots: Sequence[Path]) -> dict[Path, str]:
    """
    Return the name of each recording: its path within its root, with the root if they collide.

    :raises ConfigurationError: if two recordings have the same name
    """
    for with_root in (False, True):
        names = {path: _name(path, roots, with_root) for path in paths}
        if len(set(names.values())) == len(names):
            return names
    twice = next(n for n in names.values() if list(names.values()).count(n) > 1)
    same = [str(path) for path, name in names.items() if name == twice]
    one, other = (Path(path).absolute() for path in same[:2])
    remedy = 'rename one' if one.parent == other.parent else 'give their common folder'
    raise ConfigurationError(
        'recordings-same-name',
        f'{" and ".join(same[:2])} would both be named {twice!r}: {remedy}',
    )


def _name(path: Path, roots: Sequence[Path], with_root: bool) -> str:
    place = Path(place_of(path, roots)).with_name(recording_name(path))
    parts = place.parts if with_root or len(place.parts) == 1 else place.parts[1:]
    return '/'.join(parts)


def key_of(job: ImportJob, topic_map: TopicMap, outcomes: Outcomes) -> str:
    """Return a hash that changes with the recording, its name, the map, labels and codec."""
    definitions = topic_map.definitions
    types = content_hash(definitions) if definitions and definitions.is_dir() else ''
    made_of = [
        FORMAT, identity(resolve(job.path)), job.name, job.codec, topic_map.text, topic_map.rate,
        types, outcomes.key, outcomes.place(job.path),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]


def _make(
    job: ImportJob, topic_map: TopicMap, outcomes: Outcomes, folder: Path
) -> dict[str, Any]:  # fmt: skip
    """Import all episodes of a recording; return the description of the unit."""
    path, name = job.path, job.name
    try:
        with one_recording(path):
            recording = with_definitions(open_unmapped(path), topic_map.definitions)
            found = raw_episodes(recording, topic_map)
    except (RecordingError, ConfigurationError) as error:
        _keep_lack_of_memory(error)
        refused = Figures(name, str(path), readable=0.0).refuse(error.code, str(error))
        return {'figures': [asdict(refused)], 'episodes': []}
    if not found:
        text = (
            'has no image with a stamp in one of the episodes on topic episode, which begin at '
            'receive times: set "stamp: received" in the map if the stamps are of another clock, '
            'or leave it out'
        )
        return _refusal(name, path, 'episode-missing', text)
    figures, episodes = [], []
    for number, raw in enumerate(found):
        part = raw.name.removeprefix(recording.name)  # such as ':ID' in a live recording
        raw = replace(raw, name=f'{name}{part}')
        place = _Place(folder, number, job.codec)
        try:
            with one_recording(path, but=(OSError,)):  # such as that of a full disk
                own, episode = _import_episode(raw, recording, topic_map, outcomes, place)
        except RecordingError as error:
            _keep_lack_of_memory(error)
            own, episode = Figures(raw.name, str(path)).refuse(error.code, str(error)), None
        figures.append(asdict(own))
        episodes += [episode] if episode else []
    return {'figures': figures, 'episodes': episodes}


def _refusal(name: str, path: Path, code: str, text: str) -> dict[str, Any]:
    """Return the description of a unit without an episode."""
    return {'figures': [asdict(Figures(name, str(path)).refuse(code, text))], 'episodes': []}


def _keep_lack_of_memory(error: Exception) -> None:
    """Raise an error that is a lack of memory: it is no fault of the recording."""
    if is_lack_of_memory(error):
        raise error


def _import_episode(
    raw: RawEpisode,
    recording: Recording,
    topic_map: TopicMap,
    outcomes: Outcomes,
    place: '_Place',
) -> tuple[Figures, dict[str, Any] | None]:
    try:
        rate = rate_of(recording, topic_map)
    except ConfigurationError as error:
        return Figures(raw.name, str(raw.source)).refuse(error.code, str(error)), None
    moments, limits = grid(raw, rate), topic_map.limits
    figures = measure(raw, moments, limits)
    try:
        label = outcomes.label(raw, recording)
        _check_cameras(raw)
    except RecordingError as error:
        _keep_lack_of_memory(error)
        figures = figures.refuse(error.code, str(error))
    if figures.refused:
        return figures, None
    try:
        written, notes = _write(raw, rate, moments, label, place, limits)
    except RecordingError as error:
        _keep_lack_of_memory(error)
        for leftover in place.folder.glob(f'{place.number}.*'):
            leftover.unlink()
        return figures.refuse(error.code, str(error)), None
    figures = replace(figures, notes=(*figures.notes, *notes))
    return figures, {**written, 'robot': recording.metadata.get(SOURCE, {}).get('robot') or ''}


def _check_cameras(raw: RawEpisode) -> None:
    if not raw.cameras:
        raise RecordingError(
            'episode-cameras-missing',
            'has no camera: convert images that a note leaves out, or name others in the map',
        )


@dataclass(frozen=True)
class _Place:
    """Where the files of an episode are written, and the codec of its videos."""

    folder: Path
    number: int
    codec: str

    def file(self, kind: str) -> Path:
        """Return the file of a camera or vector."""
        return self.folder / f'{self.number}.{kind}'


def _write(
    raw: RawEpisode, fps: int, moments: Stamps, label: Label, place: _Place, limits: ImportLimits
) -> tuple[dict[str, Any], list[str]]:  # fmt: skip
    """Write one episode; return its description, and notes on its images."""
    sizes, pictures, notes = {}, {}, []
    for camera, frames in raw.cameras.items():
        stream = _CameraStream(camera, frames, moments, raw, limits)
        encode(place.file(f'{camera}.mp4'), stream.images(), fps, place.codec)
        sizes[camera], pictures[camera] = stream.size, stream.colours.statistics()
        notes += stream.notes
    names = {STATE: [n for group in raw.joints for n in group.names]}
    _save(place.file(f'{STATE}.npy'), joints_at(raw.joints, moments).astype(np.float32))
    if raw.action:
        names[ACTION] = [n for group in raw.action for n in group.names]
        rows = joints_at(raw.action, moments).astype(np.float32)
        _save(place.file(f'{ACTION}.npy'), rows)
    shape = Shape(fps, tuple(names[STATE]), tuple(names.get(ACTION, ())), sizes, place.codec)
    written = {
        'number': place.number, 'name': raw.name, 'source': str(raw.source),
        'label': asdict(label), 'start': int(moments[0]), 'length': len(moments),
        'shape': shape.to_dict(),
        'pictures': {c: {n: v.tolist() for n, v in one.items()} for c, one in pictures.items()},
        'origins': _origins(raw, label),
    }  # fmt: skip
    return written, notes


def _save(path: Path, rows: NDArray[np.floating]) -> None:
    """Write an array; of a full disk, numpy's own error has neither number nor path."""
    content = io.BytesIO()
    np.save(content, rows)
    path.write_bytes(content.getvalue())


def _origins(raw: RawEpisode, label: Label) -> list[str]:
    """Return the content identities of an episode as it is read in place, the whole first."""
    joints = joined(raw.joints, raw.source)
    read = Episode(raw.name, raw.cameras, joints, raw.label or label, raw.origins)
    first = raw.origins[0] if raw.origins else read.identity
    return [first, *sorted(read.identities - {first})]


class _CameraStream:
    """The resampled images of one camera, all of one size."""

    def __init__(
        self, camera: str, frames: Frames, moments: Stamps, raw: RawEpisode, limits: ImportLimits
    ) -> None:  # fmt: skip
        self._camera, self._images = camera, frames.images
        self._rows = held(frames.stamps, moments)
        rules = PictureRules(limits.pictures(PictureSettings()), raw.is_dataset)
        names = [name for group in raw.joints for name in group.names]
        self._check = CameraCheck(
            camera, frames, names, joints_at(raw.joints, moments), rules
        )  # fmt: skip
        self.notes: list[str] = []
        self.size = (0, 0)
        self.colours = stats.ColourHistogram()

    def images(self) -> Iterator[Image]:
        """
        Yield the image of each grid time.

        :raises RecordingError: if one cannot be decoded or has another size, if they are frozen,
            or if none is plausible
        """
        wanted = set(stats.sample_indices(len(self._rows)).tolist())
        last, image = -1, None
        for at, row in enumerate(self._rows.tolist()):
            if row != last or image is None:
                last, image = row, self._decode(row, at)
            if at in wanted:
                self.colours.add(image)
            yield image
        self.notes = self._check.finish()

    def _decode(self, row: int, at: int) -> Image:
        where = self._check.where(row)
        try:
            image = self._check.read(self._images, row, at)
        except InputError as error:
            raise RecordingError('image-undecodable', f'{where}: {error}') from error
        height, width = image.shape[:2]
        if self.size == (0, 0):
            self.size = (height, width)
        if self.size != (height, width):
            raise RecordingError(
                'image-size',
                f'{where} is {width} x {height} pixels, before {self.size[1]} x {self.size[0]}: '
                'split the recording there',
            )
        return image


def _reordered(
    episode: Mapping[str, Any], folder: Path, shape: Shape, own: Shape
) -> Mapping[str, Any]:
    """Return an episode whose vectors have the joints in the order of another shape."""
    for key, wanted, names in (
        (STATE, shape.joint_names, own.joint_names), (ACTION, shape.action_names, own.action_names)
    ):  # fmt: skip
        if wanted != names and sorted(wanted) == sorted(names):
            stem = folder / f'{episode["number"]}.{key}'
            rows = np.load(f'{stem}.npy')[:, [names.index(name) for name in wanted]]
            _save(Path(f'{stem}.ordered.npy'), rows)
            episode = {**episode, 'ordered': [*episode.get('ordered', ()), key]}
    return episode


def staged_episode(unit: Unit, episode: Mapping[str, Any]) -> StagedEpisode:
    """Return an episode of a unit for the writer of the dataset."""
    shape = Shape.from_dict(episode['shape'])
    stem = str(unit.folder / str(episode['number']))
    vectors = {STATE: Path(f'{stem}.{STATE}.npy')}
    if shape.action_names:
        vectors[ACTION] = Path(f'{stem}.{ACTION}.npy')
    vectors |= {key: Path(f'{stem}.{key}.ordered.npy') for key in episode.get('ordered', ())}
    content = dict(episode['label'])
    content['marks'] = tuple(Mark(**mark) for mark in content['marks'])
    videos = {camera: Path(f'{stem}.{camera}.mp4') for camera in shape.sizes}
    return StagedEpisode(
        episode['name'], episode['source'], Label(**content), episode['start'],
        episode['length'], vectors, videos, episode['pictures'], tuple(episode['origins']),
    )  # fmt: skip


def import_all(
    paths: Sequence[Path], topic_map: TopicMap, outcomes: Outcomes, out: Path, command: str = '',
    run: Run = map, codec: str = CODEC,
) -> dict[str, Any]:  # fmt: skip
    """
    Import recordings into a new dataset.

    :param command: command line for the report
    :param run: imports each recording, here or in other processes, and shows the progress
    :param codec: of the videos, one of ``ENCODERS``
    :returns: the report, which is also written into the dataset
    :raises ImportEmptyError: if no episode could be imported
    :raises RecordingError: if the disk is full
    """
    paths = list({_place(path): path for path in paths}.values())
    around = next((path for path in paths if path.resolve() in out.resolve().parents), None)
    if around is not None:
        raise ConfigurationError(
            'import-out-inside',
            f'{out} is inside recording {around}, which it would change: name another folder',
        )
    check_table(outcomes.table, paths)
    names = names_of(paths, outcomes.roots)
    jobs = [ImportJob(path, names[path], codec) for path in paths]
    keys = [key_of(job, topic_map, outcomes) for job in jobs]
    made_of = hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]
    if out.exists():
        return _existing_report(out, made_of)
    check_codec(codec)
    staging = Staging(out)
    with staging.locked():
        units = list(run(partial(import_one, topic_map, outcomes, staging), jobs))
        episodes, shape = matching_episodes(units)
        rows = [row for unit in units for row in unit.figures]
        if shape is None:
            raise ImportEmptyError(
                'import-empty',
                f'no episode of {len(paths)} recordings could be imported, and {out} is not '
                'created: see the reasons above',
                rows,
            )
        report = {
            'format': 'viva_ros import 1', 'made_of': made_of, 'command': command,
            'rate': shape.fps, 'limits': topic_map.limits.figures, 'episodes': rows,
        }  # fmt: skip
        _finish(staging, episodes, shape, _robot(units, topic_map), topic_map, report)
    return report


def matching_episodes(units: Sequence[Unit]) -> tuple[list[StagedEpisode], Shape | None]:
    """
    Return the episodes with the cameras, sizes and joints of the first.

    The others are refused; the reason is added to their figures.
    """
    shape: Shape | None = None
    found: list[StagedEpisode] = []
    for unit in units:
        accepted = [row for row in unit.figures if not row['refused']]
        for row, episode in zip(accepted, unit.episodes, strict=True):
            own = Shape.from_dict(episode['shape'])
            shape = shape or own
            difference = shape.difference(own)
            staged = _reordered(episode, unit.folder, shape, own)
            if difference:
                row['refused'] = [f'has {difference}: import it into a dataset of its own']
                row['codes'] = ['episode-shape']
            else:
                found.append(staged_episode(unit, staged))
    return found, shape


def _robot(units: Sequence[Unit], topic_map: TopicMap) -> str:
    """Return the robot of the map, or that of all sources; '' if they differ."""
    robots = {str(episode.get('robot', '')) for unit in units for episode in unit.episodes}
    return topic_map.robot or (robots.pop() if len(robots) == 1 else '')


def _finish(
    staging: Staging, episodes: Sequence[StagedEpisode], shape: Shape, robot: str,
    topic_map: TopicMap, report: dict[str, Any],
) -> None:  # fmt: skip
    """Assemble and rename the dataset."""
    try:
        staging.clear_dataset()
        assemble(staging.dataset, episodes, shape, robot)
        (staging.dataset / REPORT).parent.mkdir()
        write_atomically(staging.dataset / REPORT, json.dumps(report, indent=1))
        write_atomically(staging.dataset / MAP_COPY, topic_map.text)
        staging.commit()
    except OSError as error:
        raise RecordingError(
            'import-unwritable',
            f'{staging.dataset} cannot be written ({error}): {remedy(error)}; imported '
            'recordings are kept',
        ) from error


def _existing_report(out: Path, made_of: str) -> dict[str, Any]:
    """Return the report of a dataset from the same recordings, map and labels; else raise."""
    try:
        report = read_json(out / REPORT, finite=False)
        if report['made_of'] == made_of:
            return dict(report)
    except (OSError, ValueError, KeyError):
        pass
    raise ConfigurationError(
        'dataset-exists',
        f'{out} exists already, from other recordings, another map, other labels or another '
        'version of viva_ros: choose another --out',
    )
