# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/image_encodings.md agrees with the code."""

import re
from pathlib import Path

import pytest

from viva_ros.core.errors import InputError
from viva_ros.engine.image_decoding import (
    ALIASES,
    DECODERS,
    UNSUPPORTED,
    ImageOptions,
    parse_format,
)
from viva_ros.engine.image_encodings import ENCODINGS, find_encoding
from viva_ros.engine.video_decoding import CODECS, NAMES, UNSUPPORTED_VIDEO, codec_of

PAGE = Path(__file__).parents[2] / 'docs' / 'image_encodings.md'


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its head."""
    section = PAGE.read_text(encoding='utf-8').partition(f'\n## {heading}\n')[2]
    lines = [line for line in section.partition('\n## ')[0].splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r'`([^`]+)`', cell)


def first_names(heading: str, result: str) -> list[str]:
    return [name for row in rows(heading) if row[1].startswith(result) for name in names(row[0])]


def test_each_accepted_encoding_is_in_the_table_once() -> None:
    assert sorted(first_names('Raw images', 'accepted')) == sorted(ENCODINGS)


def test_each_refused_encoding_of_the_table_is_refused() -> None:
    refused = [name for name in first_names('Raw images', 'refused') if name != 'step']
    assert len(refused) >= 4
    for name in refused:
        with pytest.raises(InputError):
            find_encoding(name)


def test_each_codec_is_in_the_table_once() -> None:
    words = [name for name in first_names('Compressed images', '') if re.fullmatch(r'\w+', name)]
    codecs = [word for word in words if word not in ('bgr8', 'compressed', 'compressedDepth')]
    assert sorted(codecs) == sorted([*DECODERS, *ALIASES, *UNSUPPORTED])


def test_result_of_each_format_in_the_table_is_right() -> None:
    for text in first_names('Compressed images', 'refused: depth'):
        with pytest.raises(InputError, match='which is depth'):
            parse_format(text)
    expected = {'rgb8; jpeg compressed rgb8': 'bgr', 'rgb8; jpeg compressed bgr8': 'rgb'}
    formats = first_names('Compressed images', 'accepted')
    assert expected.keys() <= set(formats)
    for text in formats:
        described = parse_format(text)
        assert described.color_order == expected.get(text, 'rgb')
        is_mosaic = text.startswith('bayer') and not text.endswith('bgr8')
        assert bool(described.mosaic) == is_mosaic


def test_each_video_codec_is_in_the_table_once() -> None:
    accepted = {
        name: row[1] for row in rows('Video packets') if row[1].startswith('accepted as')
        for name in names(row[0])
    }  # fmt: skip
    assert accepted.keys() == NAMES.keys()
    for name, result in accepted.items():
        assert result.startswith(f'accepted as {CODECS[codec_of(name)][0]},')
    refused = [name for row in rows('Video packets') if row[1].startswith('refused')
               for name in names(row[0])]  # fmt: skip
    assert set(UNSUPPORTED_VIDEO) < set(refused) and len(refused) == len(UNSUPPORTED_VIDEO) + 2
    for name in refused:
        with pytest.raises(InputError):
            codec_of(name)


def test_each_option_that_a_remedy_names_is_allowed() -> None:
    remedies = [
        name for heading in ('Raw images', 'Compressed images') for row in rows(heading)
        for name in names(row[2]) if ': ' in name
    ]  # fmt: skip
    assert len(remedies) >= 8
    for remedy in remedies:
        option, value = remedy.split(': ')
        ImageOptions(**{option: value})
