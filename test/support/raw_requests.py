# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Requests to a service as bytes, which rclpy cannot send: a publisher of rmw on the DDS topic.

The functions of rmw are called by ctypes in the shared libraries that rclpy has loaded.
"""

import ctypes
from pathlib import Path
from typing import Any

from rclpy.node import Node

DEPTH = 10
_RELIABLE = _KEEP_LAST = 1
_VOLATILE = 2
_SYSTEM = 0


class _Duration(ctypes.Structure):
    _fields_ = [('sec', ctypes.c_uint64), ('nsec', ctypes.c_uint64)]


class _Profile(ctypes.Structure):
    _fields_ = [
        ('history', ctypes.c_int), ('depth', ctypes.c_size_t), ('reliability', ctypes.c_int),
        ('durability', ctypes.c_int), ('deadline', _Duration), ('lifespan', _Duration),
        ('liveliness', ctypes.c_int), ('lease', _Duration), ('plain_names', ctypes.c_bool),
    ]  # fmt: skip


class _Options(ctypes.Structure):
    _fields_ = [('payload', ctypes.c_void_p), ('unique_flow', ctypes.c_int)]


class _Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ('a', 'b', 'c', 'd', 'state')]


class _Serialized(ctypes.Structure):
    _fields_ = [
        ('buffer', ctypes.c_char_p), ('length', ctypes.c_size_t), ('capacity', ctypes.c_size_t),
        ('allocator', _Allocator),
    ]  # fmt: skip


def loaded(library: str) -> ctypes.CDLL:
    """Return a shared library that rclpy has loaded."""
    lines = Path('/proc/self/maps').read_text(encoding='utf-8').splitlines()
    return ctypes.CDLL(next(line.split()[-1] for line in lines if f'/{library}.so' in line))


class RawRequests:
    """Sends bytes as requests of one service."""

    def __init__(self, node: Node, service: str, kind: Any) -> None:
        """
        Make the publisher.

        :param service: resolved name
        :param kind: type of the service, such as GetState
        """
        self._rmw, rcl = loaded('librmw_fastrtps_cpp'), loaded('librcl')
        rcl.rcl_node_get_rmw_handle.restype = ctypes.c_void_p
        rcl.rcl_node_get_rmw_handle.argtypes = [ctypes.c_void_p]
        self._rmw.rmw_create_publisher.restype = ctypes.c_void_p
        self._rmw.rmw_create_publisher.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(_Profile),
            ctypes.POINTER(_Options),
        ]  # fmt: skip
        self._rmw.rmw_publish_serialized_message.argtypes = [
            ctypes.c_void_p, ctypes.POINTER(_Serialized), ctypes.c_void_p,
        ]  # fmt: skip
        self._rmw.rmw_publisher_count_matched_subscriptions.argtypes = [
            ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t),
        ]  # fmt: skip
        get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
        get_name = ctypes.pythonapi.PyCapsule_GetName
        get_pointer.restype, get_name.restype = ctypes.c_void_p, ctypes.c_char_p
        get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        get_name.argtypes = [ctypes.py_object]
        kind.Request.__class__.__import_type_support__()
        capsule = kind.Request.__class__._TYPE_SUPPORT
        self._publisher = self._rmw.rmw_create_publisher(
            rcl.rcl_node_get_rmw_handle(node.handle.pointer),
            get_pointer(capsule, get_name(capsule)), f'rq{service}Request'.encode(),
            _Profile(_KEEP_LAST, DEPTH, _RELIABLE, _VOLATILE, plain_names=True), _Options(),
        )  # fmt: skip
        assert self._publisher, service

    def matched(self) -> int:
        """Return the number of servers."""
        count = ctypes.c_size_t()
        self._rmw.rmw_publisher_count_matched_subscriptions(self._publisher, ctypes.byref(count))
        return count.value

    def send(self, data: bytes) -> bool:
        """Send a request; False if rmw refuses it, as it is longer than the type can be."""
        message = _Serialized(data, len(data), len(data))
        done = self._rmw.rmw_publish_serialized_message(
            self._publisher, ctypes.byref(message), None
        )
        return bool(done == 0)
