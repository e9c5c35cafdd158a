# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Forward kinematics of a robot description (URDF): link positions from joint positions.

Only joints with their parents, origins and axes are read. All poses of a batch are computed
together.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Array

LARGEST: Final = 1 << 22  # characters of a description
MOST_TAGS: Final = 200_000  # of a description; a humanoid has a few thousand
ROTATING: Final = ('revolute', 'continuous')
KNOWN: Final = (*ROTATING, 'prismatic', 'fixed')


@dataclass(frozen=True)
class Joint:
    """
    One joint; the frame of the child is the frame of the joint.

    :param kind: 'revolute', 'continuous', 'prismatic', 'fixed', or an unsupported type
    :param origin: pose in the parent's frame, (4, 4)
    :param axis: unit vector, (3,)
    :param mimics: joint whose position it follows, with factor and offset
    """

    name: str
    kind: str
    parent: str
    child: str
    origin: Array
    axis: Array
    mimics: tuple[str, float, float] | None = None

    def poses(self, positions: Array) -> Array:
        """
        Return the pose of the child in the parent's frame.

        :param positions: (N,), rad or m
        :returns: (N, 4, 4)
        """
        moved = np.tile(np.eye(4), (len(positions), 1, 1))
        if self.kind in ROTATING:
            moved[:, :3, :3] = rotations(self.axis, positions)
        elif self.kind == 'prismatic':
            moved[:, :3, 3] = positions[:, None] * self.axis
        return np.asarray(self.origin @ moved)


@dataclass(frozen=True)
class Chain:
    """
    The joints between two links.

    :param up: from their common ancestor to the base
    :param down: from their common ancestor to the tip
    """

    up: tuple[Joint, ...]
    down: tuple[Joint, ...]

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the joints whose positions are needed."""
        moving = [joint for joint in (*self.up, *self.down) if joint.kind != 'fixed']
        return tuple(dict.fromkeys(j.mimics[0] if j.mimics else j.name for j in moving))

    def points(self, positions: Mapping[str, Array]) -> Array:
        """
        Return the position of the tip in the frame of the base.

        :param positions: (N,) for each of ``joints``
        :returns: (N, 3), m
        """
        count = len(next(iter(positions.values()), np.zeros(1)))
        base, tip = (compose(joints, positions, count) for joints in (self.up, self.down))
        offset = tip[:, :3, 3] - base[:, :3, 3]
        in_base: Array = np.einsum('nij,ni->nj', base[:, :3, :3], offset)
        return in_base


class RobotDescription:
    """Links and joints of one robot."""

    def __init__(self, text: str) -> None:
        """
        Read a URDF.

        :raises InputError: if the text is no valid URDF
        """
        if len(text) > LARGEST:
            raise InputError(
                'urdf-too-long', f'it has {len(text)} characters, must have at most {LARGEST}'
            )
        if (tags := text.count('<')) > MOST_TAGS:
            raise InputError('urdf-too-long', f'it has {tags} tags, must have at most {MOST_TAGS}')
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise InputError('urdf-xml', f'it is no XML ({error})') from error
        self.links = tuple(
            unique([required(link, 'name') for link in root.findall('link')], 'link')
        )
        joints = [read_joint(element) for element in root.findall('joint')]
        unique([joint.name for joint in joints], 'joint')
        unique([joint.child for joint in joints], 'child link')
        self._above = {joint.child: joint for joint in joints}

    @property
    def root(self) -> str:
        """
        Return the link that has no parent.

        :raises InputError: if there is none, or more than one
        """
        roots = [link for link in self.links if link not in self._above]
        if len(roots) != 1:
            raise InputError('urdf-root', f'links without a parent are {roots}, must be one')
        return roots[0]

    def chain(self, base: str, tip: str) -> Chain:
        """
        Return the joints from one link to another.

        :raises InputError: if a link is unknown, or no supported joints connect the links
        """
        up, down = (list(self._ancestry(link)) for link in (base, tip))
        while up and down and up[-1] is down[-1]:
            up.pop()
            down.pop()
        tops = [path[-1].parent if path else link for path, link in ((up, base), (down, tip))]
        if tops[0] != tops[1]:
            raise InputError(
                'urdf-links-unconnected', f'links {base!r} and {tip!r} are not connected'
            )
        for joint in (*up, *down):
            if joint.kind not in KNOWN:
                raise InputError(
                    'urdf-joint-type',
                    f'joint {joint.name!r} between {base!r} and {tip!r} is {joint.kind!r}, must '
                    f'be one of {", ".join(KNOWN)}',
                )
        return Chain(tuple(reversed(up)), tuple(reversed(down)))

    def _ancestry(self, link: str) -> Iterator[Joint]:
        """Yield the joints from a link up to the root."""
        if link not in self.links:
            near = difflib.get_close_matches(link, self.links, 3) or self.links[:3]
            raise InputError(
                'urdf-link-unknown',
                f'there is no link {link!r}; links are {", ".join(near)}, ...',
            )
        visited: set[str] = set()
        while link in self._above:
            if link in visited:
                raise InputError('urdf-loop', f'link {link!r} is its own ancestor')
            visited.add(link)
            yield self._above[link]
            link = self._above[link].parent


def compose(joints: Sequence[Joint], positions: Mapping[str, Array], count: int) -> Array:
    """Return the pose at the end of a path of joints, (N, 4, 4)."""
    pose = np.tile(np.eye(4), (count, 1, 1))
    for joint in joints:
        name, factor, offset = joint.mimics or (joint.name, 1.0, 0.0)
        moved = np.zeros(count) if joint.kind == 'fixed' else factor * positions[name] + offset
        pose = pose @ joint.poses(moved)
    return pose


def rotations(axis: Array, angles: Array) -> Array:
    """Return rotations about a unit vector (Rodrigues 1840), (N, 3, 3)."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine, versine = np.sin(angles)[:, None, None], 1.0 - np.cos(angles)[:, None, None]
    return np.asarray(np.eye(3) + sine * cross + versine * (cross @ cross))


def read_joint(element: Any) -> Joint:
    """Read one <joint> element."""
    name = required(element, 'name')
    parent, child = (required(only(element, tag, name), 'link') for tag in ('parent', 'child'))
    origin = np.eye(4)
    origin_element = element.find('origin')
    if origin_element is not None:
        roll, pitch, yaw = numbers(origin_element, 'rpy', '0 0 0', name)
        z, y, x = np.eye(3)[::-1]
        turns = [rotations(a, np.array([t]))[0] for a, t in ((z, yaw), (y, pitch), (x, roll))]
        origin[:3, :3] = turns[0] @ turns[1] @ turns[2]
        origin[:3, 3] = numbers(origin_element, 'xyz', '0 0 0', name)
    axis, axis_element = np.array([1.0, 0.0, 0.0]), element.find('axis')
    if axis_element is not None:
        axis = numbers(axis_element, 'xyz', '1 0 0', name)
    length = float(np.linalg.norm(axis))
    if length == 0.0:
        raise InputError(
            'urdf-axis-zero', f'joint {name!r} has the axis 0 0 0, must have a length'
        )
    return Joint(
        name, required(element, 'type'), parent, child, origin, axis / length, read_mimic(element)
    )


def read_mimic(element: Any) -> tuple[str, float, float] | None:
    """Read the <mimic> element of a joint."""
    mimic = element.find('mimic')
    if mimic is None:
        return None
    joint = required(mimic, 'joint')
    (factor,) = numbers(mimic, 'multiplier', '1', joint, 1)
    (offset,) = numbers(mimic, 'offset', '0', joint, 1)
    return joint, float(factor), float(offset)


def numbers(element: Any, attribute: str, default: str, joint: str, count: int = 3) -> Array:
    """Read the finite numbers of an attribute."""
    text = element.get(attribute, default)
    try:
        found = np.array([float(word) for word in text.split()])
    except ValueError:
        found = np.empty(0)
    if len(found) != count or not np.isfinite(found).all():
        raise InputError(
            'urdf-number',
            f'joint {joint!r} has {attribute} {text[:60]!r}, must be {count} finite numbers',
        )
    return found


def only(element: Any, tag: str, joint: str) -> Any:
    """Return the child element of a tag."""
    found = element.find(tag)
    if found is None:
        raise InputError('urdf-element-missing', f'joint {joint!r} has no <{tag}>')
    return found


def required(element: Any, attribute: str) -> str:
    """Return an attribute that must not be empty."""
    text: str | None = element.get(attribute)
    if not text:
        raise InputError('urdf-attribute-missing', f'a <{element.tag}> has no {attribute}')
    return text


def unique(names: list[str], what: str) -> list[str]:
    """Refuse a duplicate name."""
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError('urdf-name-duplicate', f'{what} {name!r} is defined {count} times')
    return names
