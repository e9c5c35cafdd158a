# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Interface of a policy runner to viva_ros: episodes, ``executing`` and ``retry``.

    hook = Hook(node)
    hook.begin('fold')                     # before the first command of a task
    while not done:
        if hook.retry_wanted:              # the supervisor has requested a retry
            go_home()
            hook.resume()                  # the next attempt begins
        send_the_next_action()
    hook.end()                             # after success and failure

It publishes ``executing`` ten times a second from the node's executor, which needs its own thread
if the policy blocks. A call without a response, or to a supervisor that is not active, is
repeated: the supervisor may have restarted.
"""

import threading
import time
from functools import partial

from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from viva_ros.srv import StartEpisode

TIMEOUT = 2.0  # s, for a response, and between two calls
NOT_ACTIVE = 'not active'  # start of the message of a supervisor that is only configured


class Hook:
    """Connects a policy to the supervisor."""

    def __init__(self, node, refusal=lambda: ''):
        """
        Offer the service ``retry`` and publish ``executing``, false at first.

        :param refusal: returns why no retry is possible on the present scene; '' if one is
        """
        self.executing, self.retry_wanted, self._refusal = False, False, refusal
        self._log = node.get_logger()
        self._start = node.create_client(StartEpisode, 'supervisor/start_episode')
        self._end = node.create_client(Trigger, 'supervisor/end_episode')
        self._executing = node.create_publisher(Bool, 'executing', 10)
        self._calls, self._next_call = [], 0.0  # without a response; time of the next call, s
        self._lock = threading.Lock()  # the policy may run in another thread
        node.create_service(Trigger, 'retry', self._serve_retry)
        node.create_timer(0.1, self._report)

    def begin(self, task=''):
        """Start an episode, as soon as a supervisor is available."""
        with self._lock:
            self._calls = [(self._start, StartEpisode.Request(task=task))]
        self.resume()

    def resume(self):
        """Set ``executing``, at the start of the task and of each retry."""
        self.executing, self.retry_wanted = True, False

    def end(self):
        """End the episode."""
        with self._lock:
            self._calls.append((self._end, Trigger.Request()))
        self.executing = self.retry_wanted = False

    def _report(self):
        self._executing.publish(Bool(data=self.executing))
        with self._lock:
            call = self._calls[0] if self._calls else None
        if call and time.monotonic() > self._next_call and call[0].service_is_ready():
            self._next_call = time.monotonic() + TIMEOUT
            call[0].call_async(call[1]).add_done_callback(partial(self._on_response, call))

    def _on_response(self, call, future):
        response = future.result()
        if not response.success:  # such as an unknown task: the episode is not supervised
            self._log.error(
                f'the supervisor refuses: {response.message}', throttle_duration_sec=10.0
            )
        with self._lock:
            if not response.message.startswith(NOT_ACTIVE) and call in self._calls:
                self._calls.remove(call)
                self._next_call = 0.0

    def _serve_retry(self, request, response):
        response.message = self._refusal() if self.executing else 'no task is executed'
        response.success = not response.message
        if response.success:
            self.retry_wanted, self.executing = True, False
        self._executing.publish(
            Bool(data=self.executing)
        )  # before the response: supervision pauses
        return response
