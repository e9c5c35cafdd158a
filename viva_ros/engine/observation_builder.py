# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Build observations from synchronised messages: decode and check the images.

An invalid image (damaged, black, covered, frozen while the joints move) makes the observation
unknown.
"""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from viva_ros.core.errors import InputError
from viva_ros.core.image_checks import FrozenPicture, PictureSettings, check_picture
from viva_ros.core.inputs import Selection
from viva_ros.core.observation import Image, Observation, Unknown

Payload = TypeVar('Payload')


class Observer(Generic[Payload]):
    """Decodes and checks images; needs the selections in the order of their stamps."""

    def __init__(
        self,
        topics: Mapping[str, str],
        settings: PictureSettings,
        decode: Callable[[str, Payload], Image],
        content: Callable[[Payload], bytes | memoryview],
    ) -> None:
        """
        Start without earlier images.

        :param topics: camera to its topic, for the reasons
        :param decode: of a camera and its payload; raises InputError if it cannot be decoded
        :param content: the payload's bytes as received
        """
        self._topics, self._settings = dict(topics), settings
        self._decode, self._content = decode, content
        self._frozen = {camera: FrozenPicture(settings) for camera in topics}

    def reset(self) -> None:
        """Drop earlier images, such as after a jump of time."""
        for frozen in self._frozen.values():
            frozen.reset()

    def observe(self, selection: Selection[Payload]) -> Observation | Unknown:
        """Return the observation, or Unknown with the reasons of all invalid cameras."""
        images, reasons = {}, []
        for camera, topic in self._topics.items():
            image = self._decode_camera(camera, selection)
            if isinstance(image, str):
                reasons.append(f'{topic}: {image}')
            else:
                images[camera] = image
        if reasons:
            return Unknown('input', '; '.join(reasons))
        return selection.observation(images)

    def _decode_camera(self, camera: str, selection: Selection[Payload]) -> Image | str:
        payload, stamp = selection.payloads[camera], selection.stamps[camera]
        frozen = self._frozen[camera].update(stamp, self._content(payload), selection.proprio)
        try:
            image = self._decode(camera, payload)
        except InputError as error:
            return str(error)
        reason = check_picture(image, self._settings) or frozen
        return image if reason is None else reason
