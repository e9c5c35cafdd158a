# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thresholds of the rules, and the calibration file with the conditions of their validity."""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from viva_ros.core.detection.reference import (
    RESIDUAL,
    SLOPE,
    SPREAD,
    Reference,
    StatisticScale,
)
from viva_ros.core.detection.rules import RULES, RuleSettings, threshold_limits
from viva_ros.core.errors import CalibrationError, ConfigurationError, VivaError
from viva_ros.core.files import write_atomically
from viva_ros.core.json_text import (
    check_members,
    entries,
    members,
    names,
    number,
    parse_object,
    whole,
)
from viva_ros.core.json_text import text as text_of
from viva_ros.core.settings import SettingLimits, validate
from viva_ros.core.trusted_files import OpenFolder

FORMAT: Final = 'viva_ros calibration 4'
#: What changed after each earlier format.
CHANGES: Final = {
    'viva_ros calibration 2': 'the rule foresight is named forecast_residual now',
    'viva_ros calibration 3': 'a calibration has the rate of the monitor and the done level now, '
    'and its thresholds are fitted with other smallest spreads',
}
RATE_TOLERANCE: Final = 0.05  # relative difference of two rates that count as equal
JUDGED: Final = 0.5  # share of the usual rise of the value that the rules of the rise must judge
LEAST_RISE: Final = 0.1  # smallest usual rise of a value that tells success from failure
OR: Final = 'or'
AND: Final = 'and'
REMEDY: Final = "run 'viva calibrate'"
LARGEST_FILE: Final = 1 << 25  # bytes

#: Settings of the rules with another key in files: by the name of the setting.
STORED_KEYS: Final = {'max_gap': 'gap'}


@dataclass(frozen=True)
class Threshold:
    """
    Warning and alarm thresholds of a rule, in its unit; a statistic above them is a fault.

    :raises ValueError: if warn is above alarm, or one is NaN
    """

    warn: float
    alarm: float

    def __post_init__(self) -> None:
        if not self.warn <= self.alarm:
            raise ValueError(f'warn is {self.warn}, must be at most alarm, {self.alarm}')


@dataclass(frozen=True)
class Unreachable:
    """
    A rule whose statistic does not reach its alarm threshold.

    :param largest: largest value that the statistic can take, or takes in a usual failure
    :param rules: the largest set of rules of a calibration without such a rule; empty if none
    :param alpha: smallest alpha of a calibration with the same rules without such a rule; NaN if
        none
    :param seldom: whether the threshold is below the largest possible value, but not below that
        in a failure of its kind as long as the successes of the calibration
    """

    largest: float
    rules: tuple[str, ...] = ()
    alpha: float = math.nan
    seldom: bool = False

    def fault(self, kind: str, threshold: float, alone: float = math.nan) -> str:
        """
        Return the fault, without its remedy.

        :param alone: threshold of the rule as the only one; NaN if unknown
        """
        if self.seldom:
            return (
                f'the rule {kind} seldom raises an alarm: its threshold is {threshold:.3g}, its '
                f'largest value in a usual failure {self.largest:.3g}'
            )
        return (
            f'the rule {kind} never raises an alarm: its threshold is {threshold:.3g}, its '
            f'largest possible value {self.largest:.3g}'
        ) + (', the cap of its statistic, which successes reach' if alone >= self.largest else '')

    @property
    def remedy(self) -> str:
        """Return the remedy."""
        options = [_rules_option(self.rules)] if self.rules else []
        if math.isfinite(self.alpha):
            options.append(f'--alpha {self.alpha:g} --warn-alpha {self.alpha:g}')
        return f'calibrate again with {", or with ".join(options or ["other successes"])}'


@dataclass(frozen=True)
class Calibration:
    """
    Conformal thresholds, and the conditions of their validity.

    :param engine: fingerprint of the engine of the values
    :param episodes: number n of successful episodes
    :param alpha: largest share of successful episodes with a false alarm, over all rules
    :param warn_alpha: the same for warnings
    :param rank: k: each alarm threshold is the k-th smallest score
    :param coverage: 5 % and 95 % quantile of the share of successful episodes without an alarm
    :param rules: settings of the statistics
    :param rate: rate of the monitor, Hz
    :param thresholds: by rule; a rule without one never alarms
    :param source: command and recordings, for a person
    :param shaping: number of further episodes, from which ``expected`` was learnt
    :param combine: 'or': any rule alarms; 'and': a rule of the value and another rule must
    :param expected: reference of successful episodes
    :param alone: alarm threshold of each rule as the only rule, at the same alpha
    :param seconds: mean duration of the successful episodes, s; NaN if unknown
    :param unreachable: rules that never or seldom raise an alarm; all have the same remedy
    :param rise: usual first and last smoothed value of a success; None if unknown
    :param episode_identities: content identities of all its episodes; None if unknown
    """

    engine: str
    task: str
    episodes: int
    alpha: float
    warn_alpha: float
    rank: int
    coverage: tuple[float, float]
    rules: RuleSettings
    rate: float
    thresholds: Mapping[str, Threshold]
    source: str
    shaping: int = 0
    combine: str = OR
    expected: Reference = field(default_factory=Reference)
    alone: Mapping[str, float] = field(default_factory=dict)
    seconds: float = math.nan
    unreachable: Mapping[str, Unreachable] = field(default_factory=dict)
    rise: tuple[float, float] | None = None
    episode_identities: tuple[str, ...] | None = None

    @property
    def warnings(self) -> list[str]:
        """Return the faults that the calibration announces, with their remedies."""
        return [text for text in (self.unreached, self.blind) if text]

    @property
    def unreached(self) -> str:
        """Return the rules that never or seldom raise an alarm, with the remedy; '' if none."""
        faults: dict[str, list[str]] = {}  # by remedy; an earlier file has several
        for kind, one in self.unreachable.items():
            text = one.fault(kind, self.thresholds[kind].alarm, self.alone.get(kind, math.nan))
            faults.setdefault(one.remedy, []).append(text)
        return '; '.join(f'{"; ".join(texts)}: {remedy}' for remedy, texts in faults.items())

    @property
    def hardly_rises(self) -> bool:
        """Return whether the value of successes is known to rise by less than ``LEAST_RISE``."""
        return self.rise is not None and self.rise[1] - self.rise[0] < LEAST_RISE

    @property
    def blind(self) -> str:
        """Return that the value hardly rises, or the done level is too low; '' if neither."""
        if self.rise is None or not any(RULES[kind].of_value for kind in self.thresholds):
            return ''
        (first, last), done = self.rise, self.expected.done_above
        if self.hardly_rises:
            return (
                f'the value of successes goes from {first:.3g} to {last:.3g}, must rise by at '
                f'least {LEAST_RISE:g}: calibrate again with an engine whose value rises'
            )
        rules = [kind for kind in self.thresholds if RULES[kind].until_done]
        if not rules or done - first >= JUDGED * (last - first):
            return ''
        return (
            f'the rules {", ".join(rules)} judge only values below the done level of {done:.3g}; '
            f'that of successes goes from {first:.3g} to {last:.3g}: calibrate again with '
            f'--done-above {last:.3g}'
        )

    @property
    def standing(self) -> str:
        """
        Return which rule detects a value that stands, if ``no_rise`` does not; '' if it does.

        No_rise is then a second ``drop``: its statistic is 0 for such a value.
        """
        if 'no_rise' not in self.thresholds or min(self._in_unit('no_rise')) < 0.0:
            return ''
        kinds = () if self.blind else ('stall', 'slope')
        after = {kind: max(self._in_unit(kind)) for kind in kinds if kind in self.thresholds}
        slope, longest = (
            self.expected.slope,
            RULES['stall'].largest(self.rules, self.expected, False),
        )
        if (seconds := after.get('stall', math.inf)) < longest:
            found = f'stall detects it after {seconds:.3g} s'
        elif 'slope' in after and slope > 0.0:
            found = f'slope detects it after {after["slope"] / slope:.3g} s'
        else:
            found = 'no rule of this calibration detects it'
        return (
            'a value that stands raises no alarm of no_rise, whose threshold is at or above 0: '
            f'{found}'
        )

    def _in_unit(self, kind: str) -> tuple[float, ...]:
        """Return the alarm threshold of a rule in its unit, in each part of the progress."""
        alarm, norm = self.thresholds[kind].alarm, self.expected.norms.get(kind)
        if norm is None:
            return (alarm,)
        return tuple(m + alarm * s for m, s in zip(norm.middle, norm.spread, strict=True))

    @property
    def alarms_per_hour(self) -> float:
        """Return the false alarms per hour of successful work, at one alarm per episode."""
        return self.alpha * 3600.0 / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the file, but for its format; ``parse`` reads it."""
        content = dataclasses.asdict(self)
        content['rules'] = {STORED_KEYS.get(k, k): v for k, v in content['rules'].items()}
        for one in content['unreachable'].values():
            if math.isnan(one['alpha']):
                del one['alpha']
        if self.rise is None:  # as in files of earlier versions
            del content['rise']
        del content['episode_identities']  # an earlier file of this format has none
        if self.episode_identities is not None:
            content['episode_identities'] = ' '.join(self.episode_identities)
        return content

    def to_json(self) -> str:
        """Return the text of the file."""
        content = {'format': FORMAT, **self.to_dict()}
        content['seconds'] = None if math.isnan(self.seconds) else self.seconds
        return json.dumps(content, indent=2) + '\n'

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        write_atomically(path, self.to_json())

    def check(self, engine: str, task: str, rules: RuleSettings, rate: float) -> None:
        """
        Check that the thresholds are valid for an engine, a task, rule settings and a rate.

        :param rate: of the values, Hz; 0 or NaN if unknown, which is refused
        :raises CalibrationError: if one differs; the text names it, and the remedy
        """
        if self.engine != engine:
            raise CalibrationError('calibration-engine', _mismatch('engine', self.engine, engine))
        if self.task != task:
            raise CalibrationError('calibration-task', _mismatch('task', self.task, task))
        used, present = dataclasses.asdict(self.rules), dataclasses.asdict(rules)
        different = [name for name in used if used[name] != present[name]]
        if different:
            name, default = different[0], dataclasses.asdict(RuleSettings())
            options = [f'rules.{n}={v}' for n, v in present.items() if v != default[n]]
            again = f'with the option --set {" ".join(options)}' if options else 'without --set'
            raise CalibrationError(
                'calibration-rules',
                f'calibration was made with rules.{name} {used[name]}, the parameter is '
                f'{present[name]}: set it to {used[name]}, or calibrate again {again}',
            )
        if not same_rate(rate, self.rate):
            raise CalibrationError('calibration-rate', self._other_rate(rate))

    def _other_rate(self, rate: float) -> str:
        if not rate > 0.0:
            return (
                f'calibration is for values at {self.rate:.4g} Hz, the rate of these is unknown: '
                'the publisher must set the field rate of viva_ros/Value'
            )
        return (
            f'calibration is for values at {self.rate:.4g} Hz, these are at {rate:.4g} Hz: set '
            f"rate to {self.rate:.4g}, or run 'viva calibrate --rate {rate:.4g}'"
        )


def _rules_option(rules: Sequence[str]) -> str:
    return f'--rules {" ".join(rules)}'


def same_rate(one: float, other: float) -> bool:
    """Return whether two rates, Hz, count as equal; an unknown one, 0 or NaN, never does."""
    return min(one, other) > 0.0 and abs(one - other) <= RATE_TOLERANCE * min(one, other)


def _mismatch(name: str, calibrated: str, present: str) -> str:
    return f'calibration is for {name} {calibrated!r}, not for {present!r}: {REMEDY} for it'


@dataclass(frozen=True)
class TaskCalibrations:
    """
    The calibrations of one supervisor.

    :param found: by task: its calibration, or the error that prevents one
    """

    found: Mapping[str, Calibration | VivaError]

    def of(self, task: str) -> Calibration:
        """
        Return the calibration of a task.

        :raises VivaError: if the task has none; the text names the remedy
        """
        calibration = self.found.get(task)
        if isinstance(calibration, VivaError):
            raise calibration
        if calibration is None:
            known = ', '.join(
                sorted(name for name, one in self.found.items() if isinstance(one, Calibration))
            )
            raise ConfigurationError(
                'calibration-missing',
                f'no calibration is for task {task!r}, must be one of {known}',
            )
        return calibration

    @property
    def warnings(self) -> list[str]:
        """Return a text for each rule that never or seldom raises an alarm, with its task."""
        return [
            f'task {task!r}: {text}'
            for task, one in self.found.items()
            if isinstance(one, Calibration)
            for text in one.warnings
        ]

    def get(self, task: str) -> Calibration | None:
        """Return the calibration of a task; None if there is none."""
        calibration = self.found.get(task)
        return calibration if isinstance(calibration, Calibration) else None


def announce(
    calibrations: Mapping[str, Calibration], note: Callable[[str], None], of: str = ''
) -> None:
    """
    Pass a warning to ``note`` for each rule that never or seldom raises an alarm.

    :param calibrations: by task
    :param of: name of their engine, where there are several
    """
    for text in TaskCalibrations(calibrations).warnings:
        note(f'warning: {of}: {text}' if of else f'warning: {text}')


def calibration_file(folder: Path, task: str) -> Path:
    """Return the path of the calibration for a task in the folder of an engine."""
    return folder / f'calibration_{re.sub(r"[^0-9A-Za-z_.-]+", "_", task)}.json'


def load(path: Path) -> Calibration:
    """
    Read a calibration file; ``check`` it before use.

    In the folder of an engine use ``engine.manifest.read_calibration``, which verifies the file.

    :raises CalibrationError: if it is missing, damaged, of an earlier format, out of range, or has
        thresholds of rules that no installed package defines
    :raises UntrustedError: if other users can write or exchange it
    """
    try:
        data = OpenFolder(path.parent).open(path.name).read(LARGEST_FILE)
    except OSError as error:
        raise unreadable(path, error) from error
    return parse_file(data, path)


def unreadable(path: Path, error: OSError) -> CalibrationError:
    """Return the error that a calibration file is missing or cannot be read."""
    return CalibrationError(
        'calibration-unreadable', f'calibration {path} cannot be read ({error}): {REMEDY}'
    )


def parse_file(data: bytes, path: Path) -> Calibration:
    """
    Build a calibration from the bytes of its file.

    :raises CalibrationError: see ``load``
    """
    try:
        content = parse_object(data)
    except ValueError as error:
        raise CalibrationError(
            'calibration-text', f'calibration {path} is no calibration ({error}): {REMEDY}'
        ) from error
    _check_format(path, content)
    _check_rules(path, content)
    try:
        return parse(content)
    except (KeyError, TypeError, ValueError, ConfigurationError) as error:
        cause = f'lacks {error}' if isinstance(error, KeyError) else str(error)
        raise CalibrationError(
            'calibration-damaged', f'calibration {path} is damaged ({cause}): {REMEDY}'
        ) from error


def _check_format(path: Path, content: Mapping[str, Any]) -> None:
    """Raise CalibrationError for a calibration of another version."""
    found = content.get('format')
    if found != FORMAT and str(found).startswith(FORMAT.rstrip('0123456789')):
        changes = '; '.join(text for name, text in CHANGES.items() if str(found) <= name)
        raise CalibrationError(
            'calibration-format',
            f'calibration {path} has the format {found!r}, must be {FORMAT!r}'
            f'{f" ({changes})" if changes else ""}: {REMEDY} again',
        )


def _check_rules(path: Path, content: Mapping[str, Any]) -> None:
    """Raise CalibrationError for a rule of a package that is not installed."""
    kinds = content.get('thresholds')
    missing = [kind for kind in kinds if kind not in RULES] if isinstance(kinds, dict) else []
    if missing:
        raise CalibrationError(
            'calibration-rule-unknown',
            f'calibration {path} has thresholds of {", ".join(missing)}, which no installed '
            f'package defines, must be some of {", ".join(RULES)}: install the package of the '
            f'rule, or {REMEDY} again',
        )


#: Ranges of the numbers of a calibration, but for thresholds: those are declared by each rule.
SHARE: Final = SettingLimits(above=0.0, below=1.0)
PART: Final = SettingLimits(at_least=0.0, at_most=1.0)
RATES: Final = SettingLimits(above=0.0, at_most=1000.0)  # Hz
DURATIONS: Final = SettingLimits(above=0.0, at_most=86400.0)  # s
VALUES: Final = SettingLimits(at_least=-1.0, at_most=1.0)
MOST_EPISODES: Final = 1_000_000
WINDOWS: Final = SettingLimits(at_least=0.0, at_most=3600.0)  # s
HASH: Final = re.compile('[0-9a-f]{1,64}')


def parse(content: Mapping[str, Any]) -> Calibration:
    """
    Build a calibration from the content of its file; types and ranges are exact.

    :raises KeyError: and TypeError, ValueError, ConfigurationError if the content is invalid
    """
    fields = dict(content)
    if (found := fields.pop('format')) != FORMAT:
        raise ValueError(f'format is {found!r}, must be {FORMAT!r}')
    if fields['combine'] not in (OR, AND):
        raise ValueError(f'combine is {fields["combine"]!r}, must be {OR!r} or {AND!r}')
    expected = _expected(fields['expected'])
    thresholds = _thresholds(fields['thresholds'], expected)
    episodes = whole('episodes', fields['episodes'], 1, MOST_EPISODES)
    alpha = number('alpha', fields['alpha'], SHARE)
    least = SettingLimits(at_least=alpha, below=1.0)
    fields.update(
        engine=_name('engine', fields['engine']), task=_name('task', fields['task']),
        episodes=episodes, alpha=alpha,
        warn_alpha=number('warn_alpha', fields['warn_alpha'], least),
        rank=whole('rank', fields['rank'], 1, episodes),
        coverage=_ascending('coverage', fields['coverage'], PART),
        rules=_rules(fields['rules']), rate=number('rate', fields['rate'], RATES),
        thresholds=thresholds, source=text_of('source', fields['source']),
        shaping=whole('shaping', fields['shaping'], 0, MOST_EPISODES), expected=expected,
        alone={
            kind: number(f'alone.{kind}', one, threshold_limits(kind, expected))
            for kind, one in _of_rules('alone', fields['alone'], RULES).items()
        },
        seconds=_seconds(fields['seconds']),
        unreachable=_unreachable(fields['unreachable'], thresholds),
        rise=None if (rise := fields.get('rise')) is None else _pair('rise', rise, VALUES),
        episode_identities=_identities(fields.get('episode_identities')),
    )  # fmt: skip
    return Calibration(**fields)


def _seconds(value: object) -> float:
    """Return the mean duration; it is null in files, NaN in tables of scores, if it is unknown."""
    unknown = value is None or (isinstance(value, float) and math.isnan(value))
    return math.nan if unknown else number('seconds', value, DURATIONS)


def _name(name: str, value: object) -> str:
    if not (found := text_of(name, value, 500)):
        raise ValueError(f'{name} is empty, must be a name')
    return found


def _pair(name: str, content: object, limits: SettingLimits) -> tuple[float, float]:
    found = [number(name, one, limits) for one in entries(name, content)]
    if len(found) != 2:
        raise ValueError(f'{name} has {len(found)} numbers, must have 2')
    return found[0], found[1]


def _ascending(name: str, content: object, limits: SettingLimits) -> tuple[float, float]:
    low, high = _pair(name, content, limits)
    if low > high:
        raise ValueError(f'{name} is {low:g} to {high:g}, must ascend')
    return low, high


def _of_rules(name: str, content: object, known: Iterable[str]) -> Mapping[str, Any]:
    """Return an object whose names are those of rules."""
    found = members(name, content)
    if not found.keys() <= {*known}:
        raise ValueError(f'{name} are {list(found)}, must be some of {list(known)}')
    return found


def _thresholds(content: object, expected: Reference) -> dict[str, Threshold]:
    pairs = _of_rules('thresholds', content, RULES)
    if not pairs:
        raise ValueError(f'thresholds are for {list(pairs)}, must be for some of {list(RULES)}')
    found = {}
    for kind, pair in pairs.items():
        name, limits = f'thresholds.{kind}', threshold_limits(kind, expected)
        check_members(name, members(name, pair), {'warn', 'alarm'})
        warn, alarm = (number(f'{name}.{at}', pair[at], limits) for at in ('warn', 'alarm'))
        found[kind] = Threshold(warn, alarm)
    return found


def _unreachable(content: object, thresholds: Iterable[str]) -> dict[str, Unreachable]:
    found = {}
    for kind, one in _of_rules('unreachable', content, thresholds).items():
        name = f'unreachable.{kind}'
        check_members(name, members(name, one), {'largest', 'rules'}, {'alpha', 'seldom'})
        rules = names(f'{name}.rules', one['rules'])
        if not {*rules} <= {*RULES}:
            raise ValueError(f'{name}.rules are {list(rules)}, must be some of {list(RULES)}')
        if not isinstance(seldom := one.get('seldom', False), bool):
            raise ValueError(f'{name}.seldom is {seldom!r}, must be true or false')
        alpha = number(f'{name}.alpha', one['alpha'], SHARE) if 'alpha' in one else math.nan
        largest = number(f'{name}.largest', one['largest'], SettingLimits())
        found[kind] = Unreachable(largest, rules, alpha, seldom)
    return found


def _rules(content: Mapping[str, Any]) -> RuleSettings:
    settings = [one.name for one in dataclasses.fields(RuleSettings)]
    known = {STORED_KEYS.get(name, name): name for name in settings}
    stored = members('rules', content)
    if unknown := stored.keys() - known.keys():
        raise ValueError(f'rules has {sorted(unknown)}, must be some of {list(known)}')
    rules = RuleSettings(**{known[key]: value for key, value in stored.items()})
    validate(rules, 'rules.')
    for name, size in dataclasses.asdict(rules).items():
        number(f'rules.{name}', size, WINDOWS)  # other bounds were checked by the settings
    return rules


def _identities(content: object) -> tuple[str, ...] | None:
    if content is None:
        return None
    found = tuple(text_of('episode_identities', content, LARGEST_FILE).split())
    if wrong := next((one for one in found if not HASH.fullmatch(one)), ''):
        raise ValueError(f'episode_identities has {wrong[:80]!r}, must be hashes in hex digits')
    return found


def _expected(content: object) -> Reference:
    fields = members('expected', content)
    check_members('expected', fields, {'slope', 'joints', 'norms', 'done_above'})
    norms = {}
    for kind, one in _of_rules('expected.norms', fields['norms'], RULES).items():
        name, parts = f'expected.norms.{kind}', ('edges', 'middle', 'spread')
        check_members(name, members(name, one), {*parts})
        middle = SettingLimits(at_least=RULES[kind].span[0], at_most=RULES[kind].span[1])
        limits = {'edges': PART, 'middle': middle, 'spread': SPREAD}
        norms[kind] = StatisticScale(*(
            tuple(number(f'{name}.{part}', size, limits[part])
                  for size in entries(f'{name}.{part}', one[part]))
            for part in parts
        ))  # fmt: skip
    joints = {
        _name('a joint in expected.joints', joint): number(
            f'expected.joints.{joint}', size, RESIDUAL
        )
        for joint, size in members('expected.joints', fields['joints']).items()
    }
    slope = number('expected.slope', fields['slope'], SLOPE)
    return Reference(slope, joints, norms, number('done_above', fields['done_above'], VALUES))
