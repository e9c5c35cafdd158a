# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Seeded mutation of valid inputs, of bytes and of their structure.

Bytes alone rarely pass the checksums and lengths of a format: a mutator of a format takes a valid
file apart, changes one part, and puts it together with valid lengths and checksums.
"""

import json
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

Mutator = Callable[[bytes, Random], bytes]

MOST_CHANGES: Final = 6
NUMBERS: Final = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63,
                  2**64 - 1)  # fmt: skip
#: Words that readers of texts may treat specially.
WORDS: Final = (
    'null', 'true', 'false', 'nan', 'inf', '-inf', '1e400', '-1', '0', '99999999999999999999',
    '"', "'", '[', ']', '{', '}', ':', ',', '\n', '\t', '\0', '\x1b[31m', '[/bold]', '../..', '~',
    '&a', '*a', '!!python/object:os.system', '{0.__class__}', '%s', '\ufeff', '\ud83e', '﷽',
)  # fmt: skip


def deep(levels: int) -> Any:
    """Return a list in a list in a list."""
    found: Any = 0
    for _ in range(levels):
        found = [found]
    return found


#: Values in the place of others in JSON.
VALUES: Final[Sequence[Any]] = (
    None, True, False, 0, -1, 1.5, 2**31, 2**64, 10**400, float('nan'), float('inf'), '', 'x',
    '\0', '[/bold]', '\x1b[2J', '../../etc', '{0.__class__}', 'ä' * 300, [], [[]], {}, {'a': {}},
    [None] * 3, ['a', 'a'], deep(50),
)  # fmt: skip


def of_bytes(data: bytes, random: Random) -> bytes:
    """Change bits, bytes, numbers and ranges."""
    found = bytearray(data)
    for _ in range(random.randint(1, MOST_CHANGES)):
        found = _change(found, random)
    return bytes(found)


def _change(data: bytearray, random: Random) -> bytearray:
    at = random.randrange(len(data) + 1)
    end = min(len(data), at + random.choice((1, 1, 2, 4, 8, 64, 1000)))
    match random.randrange(8):
        case 0 if at < len(data):
            data[at] ^= 1 << random.randrange(8)
        case 1 if at < len(data):
            data[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        case 2:
            del data[at:end]
        case 3:
            data[at:at] = data[at:end]
        case 4:
            number = random.choice(NUMBERS)
            form = random.choice(('<I', '>I', '<H', '<Q'))
            number %= 1 << 8 * struct.calcsize(form)
            data[at : at + struct.calcsize(form)] = struct.pack(form, number)
        case 5:
            del data[at:]
        case 6:
            data[at:end] = random.randbytes(end - at)
        case _:
            other = random.randrange(len(data) + 1)
            data[at:end] = data[other : other + end - at]
    return data


def of_text(data: bytes, random: Random) -> bytes:
    """Change lines and words of YAML, CSV or XML; of bytes in one case of five."""
    if random.random() < 0.2:
        return of_bytes(data, random)
    lines = data.decode('utf-8', 'replace').splitlines(keepends=True) or ['\n']
    for _ in range(random.randint(1, MOST_CHANGES)):
        at = random.randrange(len(lines))
        match random.randrange(5):
            case 0:
                lines.insert(at, lines[random.randrange(len(lines))])
            case 1 if len(lines) > 1:
                del lines[at]
            case _:
                line = lines[at]
                begin = random.randrange(len(line) + 1)
                end = begin + random.choice((0, 0, 1, 3, 10))
                word = random.choice(WORDS) * random.choice((1, 1, 1, 3, 2000))
                lines[at] = line[:begin] + word + line[end:]
    return ''.join(lines).encode('utf-8', 'surrogatepass')


def of_json(data: bytes, random: Random) -> bytes:
    """Replace, delete, rename and repeat values; of bytes in one case of five."""
    if random.random() < 0.2:
        return of_text(data, random)
    content = json.loads(data)
    for _ in range(random.randint(1, 3)):
        content = change_value(content, random)
    text = json.dumps(content)
    if random.random() < 0.02:
        text = text.replace(': 1', ': ' + '[' * 20_000, 1)
    return text.encode('utf-8', 'surrogatepass')


def change_value(content: Any, random: Random) -> Any:
    """Return JSON content with one change at a random place."""
    if isinstance(content, dict) and content and random.random() < 0.9:
        key = random.choice(list(content))
        match random.randrange(8):
            case 0:
                return {name: one for name, one in content.items() if name != key}
            case 1:
                new = str(random.choice(WORDS))
                return {new if name == key else name: one for name, one in content.items()}
            case _:
                return {**content, key: change_value(content[key], random)}
    if isinstance(content, list) and content and random.random() < 0.8:
        at = random.randrange(len(content))
        match random.randrange(6):
            case 0:
                return content[:at] + content[at + 1 :]
            case 1:
                return [*content, content[at]]
            case _:
                return [*content[:at], change_value(content[at], random), *content[at + 1 :]]
    return random.choice(VALUES)


MAGIC: Final = b'\x89MCAP0\r\n'
CHUNK: Final = 6  # opcode
CHUNK_HEAD: Final = struct.Struct('<QQQI')


def of_mcap(data: bytes, random: Random) -> bytes:
    """Change the content of a record of MCAP, or the order of records; of bytes in some cases."""
    if random.random() < 0.25:
        return of_bytes(data, random)
    records = read_records(data[len(MAGIC) : -len(MAGIC)])
    for _ in range(random.randint(1, 3)):
        records = _change_records(records, random)
    return MAGIC + write_records(records) + MAGIC


def read_records(data: bytes) -> list[tuple[int, bytes]]:
    """Return opcode and content of each record."""
    found, at = [], 0
    while at + 9 <= len(data):
        opcode, length = struct.unpack_from('<BQ', data, at)
        found.append((opcode, data[at + 9 : at + 9 + length]))
        at += 9 + length
    return found


def write_records(records: Sequence[tuple[int, bytes]]) -> bytes:
    return b''.join(struct.pack('<BQ', op, len(content)) + content for op, content in records)


def _change_records(records: list[tuple[int, bytes]], random: Random) -> list[tuple[int, bytes]]:
    at = random.randrange(len(records)) if records else 0
    if not records:
        return records
    opcode, content = records[at]
    match random.randrange(7):
        case 0:
            del records[at]
        case 1:
            records.insert(random.randrange(len(records)), (opcode, content))
        case 2:
            records[at] = random.randrange(1, 17), content
        case _:
            records[at] = opcode, _change_content(opcode, content, random)
    return records


def _change_content(opcode: int, content: bytes, random: Random) -> bytes:
    if opcode != CHUNK or random.random() < 0.2:
        return of_bytes(content, random)
    begin, end, _, _ = CHUNK_HEAD.unpack_from(content)
    (length,) = struct.unpack_from('<I', content, CHUNK_HEAD.size)
    name = content[CHUNK_HEAD.size + 4 : CHUNK_HEAD.size + 4 + length]
    inner = content[CHUNK_HEAD.size + length + 12 :]
    if not name:  # a CRC of 0 is not checked
        inner = write_records(_change_records(read_records(inner), random))
    size = len(inner) if random.random() < 0.8 else random.choice(NUMBERS)
    head = CHUNK_HEAD.pack(begin, end, size, 0) + struct.pack('<I', length) + name
    return head + struct.pack('<Q', len(inner)) + inner
