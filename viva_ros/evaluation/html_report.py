# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An evaluation as one HTML file that contains its data, its images and its plotting library.

``report.html`` is the template. Tables and image strips are plain HTML; the charts are Vega-Lite,
declared here with Altair and drawn in the browser from the JSON in the page. The page shows text
from recordings as text only, never as markup, with its control characters escaped.
"""

import base64
import json
import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import altair as alt
import cv2
import numpy as np
import vl_convert

from viva_ros.core.detection.rules import Details
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.core.errors import InputError, RecordingError
from viva_ros.core.foreign_text import ERROR_LENGTH, shown
from viva_ros.core.observation import Array, Image
from viva_ros.data.episode import Episode
from viva_ros.data.one_recording import one_recording
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.evaluation.results import FAILURE, MENDED, RETRY, SUCCESS, Result
from viva_ros.evaluation.tables import CHECKS, FIGURES, SURROGATES, plain, surrogate_cells
from viva_ros.scoring.scorer import make_detector
from viva_ros.visualization.timeline import alarm_level

TEMPLATE: Final = Path(__file__).with_name('report.html')
PICTURES: Final = 9  # images in a strip
WIDE: Final = 112  # px, width of an image
QUALITY: Final = 72  # of JPEG
WORST, BEST = 6, 2  # number of episodes with an image strip
IMAGE: Final = 'data:image/jpeg;base64,'
LATE: Final = 5.0  # s: a delay with half the severity of a missed failure
GROUPS: Final = {
    SUCCESS: 'success', FAILURE: 'failure', MENDED: 'recovered by itself', RETRY: 'after a retry',
}  # fmt: skip
HEIGHT: Final = 220  # px, of a curve
SHOWN: Final = alt.TooltipContent(content='data')  # report.html shows its text
LEFT, RIGHT = 36, 16  # px, around a curve; the image strip in report.html has the same margins


@dataclass(frozen=True)
class Series:
    """
    A line of the chart of an episode.

    :param key: key of the data of an episode in the page
    :param label: label in the legend
    :param short: label in the readout at the pointer
    :param colour: in CSS; a variable of report.html, so that it follows the colour scheme
    :param width: px
    :param dash: lengths of a dash and of a gap, px
    :param style: CSS border style in the legend
    """

    key: str
    label: str
    short: str
    colour: str
    width: float
    dash: tuple[float, float] = (1, 0)
    style: str = 'solid'


SERIES: Final = (
    Series('value', 'value V', 'value V', 'var(--value)', 2.2),
    Series('progress', 'true progress', 'true progress', 'var(--truth)', 1.5, (7, 3), 'dashed'),
    Series(
        'probability', 'probability of success', 'probability of success', 'var(--chance)', 1.5,
        (1.5, 3), 'dotted',
    ),
    Series(
        'limit', 'alarm where the smoothed value is below', 'alarm below', 'var(--alarm)', 1.2,
        (3, 3), 'dashed',
    ),
)  # fmt: skip


class PageTemplate(string.Template):
    """Template with placeholders that differ from JavaScript's."""

    delimiter = '@@'


def page(
    title: str, about: str, figures: Mapping[str, Mapping[str, Any]],
    checks: Mapping[str, Mapping[str, Any]], surrogates: Mapping[str, Mapping[str, Any]],
    results: Sequence[Result], paths: Mapping[tuple[str, str], Path],
    calibrations: Mapping[str, Calibration],
) -> str:  # fmt: skip
    """
    Return the page.

    :param figures: figures by scope ('all tasks', or a task), then by contender, the evaluated
        engine first
    :param surrogates: figures of surrogate failures, by surrogate, then by contender
    :param results: results of the evaluated engine
    :param paths: recordings by task and episode name, for the images
    :param calibrations: calibrations of the evaluated engine, by task
    """
    order = sorted(range(len(results)), key=lambda row: -severity(results[row]))
    stories = [*order[:WORST], *reversed(order[WORST:][-BEST:])]
    episodes = [_episode(one, calibrations.get(one.task)) for one in results]
    for row in stories:
        path = paths.get((results[row].task, results[row].name))
        if path is not None:
            try:
                with one_recording(path):
                    episodes[row]['strip'] = strip(episodes_of(open_recording(path))[0])
            except (InputError, RecordingError) as error:
                episodes[row]['told'] += f' Its images cannot be shown: {error}.'
    first = next(iter(next(iter(figures.values())).values()))
    content = {
        'title': title, 'about': about, 'figures': in_order(figures), 'rows': FIGURES,
        'stories': stories, 'episodes': episodes, 'reliability': first.get('reliability'),
        'check_heads': ['input', *(head for head, _ in CHECKS), 'expected'],
        'checks': [
            [name, *(row[key] for _, key in CHECKS), row['good']]
            for name, row in checks.items()
        ],
        'surrogate_heads': ['episode', 'engine', *(head for head, _ in SURROGATES)],
        'surrogates': [
            [name, contender, *surrogate_cells(one)]
            for name, row in surrogates.items() for contender, one in row['contenders'].items()
        ],
    }  # fmt: skip
    return fill(content)


def in_order(figures: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Return names and figures in pairs: a browser puts keys of objects like '10' first."""
    return [(scope, [*found.items()]) for scope, found in figures.items()]


def fill(content: Mapping[str, Any]) -> str:
    """Return the page with its data, its charts and the library that draws them."""
    content = _shown(content)
    series = [one for one in SERIES if any(episode[one.key] for episode in content['episodes'])]
    charts = {'curve': curve_chart(series), 'reliability': reliability_chart()}
    content = {**content, 'series': [asdict(one) for one in series], 'charts': charts}
    text = json.dumps(plain(content), allow_nan=False, separators=(',', ':'))
    # Text in a script element must not contain its end tag.
    text = text.replace('<', '\\u003c').replace('\u2028', '\\u2028').replace('\u2029', '\\u2029')
    template = PageTemplate(TEMPLATE.read_text(encoding='utf-8'))
    return template.substitute(data=text, library=library())


def _shown(content: Any) -> Any:
    """Return content whose texts and names are printable; the images of a strip stay as is."""
    if isinstance(content, str):
        is_image = content.startswith(IMAGE) and content.isascii() and content.isprintable()
        return content if is_image else shown(content, ERROR_LENGTH)
    if isinstance(content, Mapping):
        found: dict[str, Any] = {}
        for key, one in content.items():
            name = shown(key, ERROR_LENGTH)
            while name in found:  # names that differ only in what is escaped
                name += "'"
            found[name] = _shown(one)
        return found
    return [_shown(one) for one in content] if isinstance(content, (list, tuple)) else content


@cache
def library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one JavaScript module without imports."""
    version = alt.SCHEMA_VERSION.removeprefix('v').rpartition('.')[0]
    return vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;', version).replace(
        '</script', '<\\/script'
    )


def curve_chart(series: Sequence[Series]) -> dict[str, Any]:
    """
    Return the Vega-Lite chart of an episode.

    The page sets the parameter ``end`` (s) and three datasets: samples (t, series, v), marks
    (t, text, alarm, v) and moments (t, text: what is shown at the pointer).
    """
    keys = [one.key for one in series]
    end = alt.param(name='end', value=1.0)
    x = alt.X('t:Q', title=None).scale(domain=alt.ExprRef('[0, end]'), nice=False)
    x = x.axis(grid=False, labelExpr="datum.label + ' s'", tickMinStep=1, labelPadding=8)
    y = alt.Y('v:Q', title=None).scale(domain=[-1, 1])
    y = y.axis(values=[-1, -0.5, 0, 0.5, 1], format='~', minExtent=LEFT, maxExtent=LEFT)

    def by_series(channel: Any, values: Sequence[Any]) -> Any:
        return channel('series:O', legend=None).scale(domain=keys, range=values)

    lines = alt.Chart(alt.NamedData('samples')).mark_line(strokeJoin='round').encode(
        x, y,
        by_series(alt.Color, [one.colour for one in series]),
        by_series(alt.StrokeDash, [list(one.dash) for one in series]),
        by_series(alt.StrokeWidth, [one.width for one in series]),
    )  # fmt: skip
    marks = alt.Chart(alt.NamedData('marks'))
    rules = marks.mark_rule(strokeWidth=1.5).encode(
        x,
        color=alt.when('datum.alarm').then(alt.value('var(--alarm)')).otherwise(
            alt.value('var(--ink)')
        ),
        strokeDash=alt.when('datum.alarm').then(alt.value([1, 0])).otherwise(alt.value([4, 3])),
    )  # fmt: skip
    late = 'datum.t > 0.92 * end'  # too close to the right edge for a label
    texts = marks.mark_text(
        align=alt.ExprRef(f"{late} ? 'right' : 'left'"), dx=alt.ExprRef(f'{late} ? -4 : 4'),
        dy=-5, baseline='bottom', color='var(--soft)',
    ).encode(x, y, text='text:N')  # fmt: skip
    near = alt.selection_point(
        name='near', fields=['t'], nearest=True, on='pointermove', clear='pointerout', empty=False
    )
    opacity = alt.when(near).then(alt.value(1)).otherwise(alt.value(0))
    moments = alt.Chart(alt.NamedData('moments')).mark_rule(color='var(--soft)', tooltip=SHOWN)
    moments = moments.encode(x, opacity=opacity).add_params(near)
    chart = alt.layer(lines, rules, texts, moments).add_params(end)
    return _declaration(chart.properties(width='container', height=HEIGHT))


def reliability_chart() -> dict[str, Any]:
    """
    Return the Vega-Lite chart of predicted probability against success rate.

    The page sets the dataset bins (told, seen, share, text).
    """
    unit, quarters = alt.Scale(domain=[0, 1]), [0, 0.25, 0.5, 0.75, 1]
    x = alt.X('told:Q', title='predicted probability', scale=unit).axis(
        values=quarters, format='.2~f'
    )
    y = alt.Y('seen:Q', title='share that succeeded', scale=unit).axis(
        values=quarters, format='.2~f'
    )
    ends = alt.Chart(alt.InlineData([{'told': end, 'seen': end} for end in (0, 1)]))
    bins = alt.Chart(alt.NamedData('bins')).mark_circle(
        color='var(--value)', opacity=0.65, tooltip=SHOWN
    )
    area = alt.Scale(domain=[0, 1], range=[math.pi * radius**2 for radius in (4, 20)])
    chart = alt.layer(
        ends.mark_line(color='var(--other)', strokeDash=[4, 4], strokeWidth=1).encode(x, y),
        bins.encode(x, y, alt.Size('share:Q', legend=None, scale=area)),
    )  # fmt: skip
    return _declaration(chart.properties(width='container', height=320))


def _declaration(chart: alt.LayerChart | alt.FacetChart) -> dict[str, Any]:
    """Return a chart in the page's style, without the address of its schema."""
    styled = chart.configure(
        autosize=alt.AutoSizeParams(type='fit-x', contains='padding'), background='transparent',
        font='system-ui, sans-serif', padding={'left': 0, 'right': RIGHT, 'top': 4, 'bottom': 0},
    ).configure_view(stroke=None)  # fmt: skip
    styled = styled.configure_axis(
        domain=False, ticks=False, gridColor='var(--line)', labelColor='var(--soft)',
        titleColor='var(--soft)', labelFontSize=12, titleFontSize=12, titleFontWeight='normal',
    ).configure_text(fontSize=12)  # fmt: skip
    declared: dict[str, Any] = styled.to_dict()
    del declared['$schema']
    return declared


def severity(one: Result) -> float:
    """
    Return the severity of an error of the detector, to sort episodes.

    :returns: in [0, 1] the delay of a detected failure in units of LATE, or the disorder of the
        values of a success; 2 for a missed failure or a false alarm
    """
    if one.group == FAILURE:
        if one.trial.detection is None:
            return 2.0
        return min(max(one.trial.delay or 0.0, 0.0) / LATE, 1.0)
    disorder = 1.0 - one.true_order if math.isfinite(one.true_order) else 1.0
    return 2.0 if one.group == SUCCESS and one.alarms else min(disorder, 1.0)


def _episode(one: Result, calibration: Calibration | None) -> dict[str, Any]:
    found = one.trial
    return {
        'name': one.name, 'task': one.task, 'mode': one.mode, 'group': GROUPS[one.group],
        'outcome': 'success' if one.success else 'failure', 'duration': one.duration,
        'final': one.final, 'true_order': one.true_order, 'alarms': one.alarms,
        'first_alarm': one.alarms[0] if one.alarms else None, 'manifest': one.manifest,
        'delay': found.delay, 'trouble': severity(one), 'told': _verdict(one),
        'times': _rounded(one.times), 'value': _rounded(one.values),
        'progress': _rounded(one.progress) if np.isfinite(one.progress).any() else None,
        'probability': None if one.probability is None else _rounded(one.probability),
        'limit': None if calibration is None else _rounded(alarm_limits(one, calibration)),
        'marks': [(mark.kind, mark.time) for mark in one.marks],
    }  # fmt: skip


def alarm_limits(one: Result, calibration: Calibration) -> Array:
    """Return the smoothed value below which an alarm is raised, (N,); NaN without a limit."""
    detector = make_detector(calibration)
    limits = []
    unknown = np.full(len(one.times), math.nan)
    probability = unknown if one.probability is None else one.probability
    for at, value, success in zip(one.times, one.values, probability, strict=True):
        detector.update(round(at * 1e9), float(value), details=Details(float(success)))
        known = math.isfinite(value)
        limits.append(alarm_level(detector, calibration) if known else math.nan)
    return np.array(limits, dtype=np.float64)


def _rounded(numbers: Any) -> list[float]:
    return [round(float(x), 3) for x in numbers]


def _verdict(one: Result) -> str:
    """Return a sentence on the outcome and the alarms of an episode."""
    if one.group == FAILURE:
        if one.trial.detection is None:
            return 'Missed failure.'
        if one.trial.delay is None:
            return f'Failure, detected at {one.trial.detection:.1f} s.'
        return f'Failure, detected {one.trial.delay:+.1f} s from its physical evidence.'
    ended = 'succeeded' if one.success else 'failed'
    alarm = f'alarm at {one.alarms[0]:.1f} s' if one.alarms else 'no alarm'
    if one.group == SUCCESS:
        return f'Undisturbed success: {"false " + alarm if one.alarms else alarm}.'
    return f'{GROUPS[one.group].capitalize()}, {ended}: {alarm}.'


def strip(episode: Episode) -> dict[str, Any]:
    """Return small images of all cameras at evenly spaced times, as data URLs."""
    tracks = {name: track for name, track in episode.cameras.items() if track.stamps.size}
    begin = min(int(track.stamps[0]) for track in tracks.values())
    end = max(int(track.stamps[-1]) for track in tracks.values())
    wanted = np.linspace(begin, end, PICTURES).astype(np.int64)
    cameras = []  # pairs, as in ``in_order``
    for name, track in tracks.items():
        rows = np.clip(np.searchsorted(track.stamps, wanted, side='right') - 1, 0, None)
        cameras.append([name, [_data_address(track.images[int(row)]) for row in rows]])
    return {'times': [round(float(at - begin) * 1e-9, 2) for at in wanted], 'cameras': cameras}


def _data_address(image: Image) -> str:
    """Return an image as a data URL."""
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (WIDE, max(1, round(WIDE * height / width))), interpolation=cv2.INTER_AREA
    )
    done, jpeg = cv2.imencode('.jpg', small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError(f'an image of shape {image.shape} cannot be encoded as JPEG')
    return IMAGE + base64.b64encode(jpeg.tobytes()).decode()
