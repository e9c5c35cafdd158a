# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The contract of a policy runner with viva_ros: episodes, ``executing`` and ``retry``.

    hook = Hook(node)
    hook.begin('fold')                     # before the first command of a task
    while not done:
        if hook.retry_wanted:              # the supervisor has seen a failure
            go_home()
            hook.resume()                  # the next attempt begins
        send_the_next_action()
    hook.end()                             # the task is over, however it ended

It publishes ``executing`` ten times a second from the node's executor. Spin that in a thread of
its own if the policy blocks. A call that gets no answer, or that the supervisor cannot take yet,
is made again: it may have been killed and started again.
"""

import threading
import time
from functools import partial

from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from viva_ros.srv import StartEpisode

PATIENCE = 2.0  # s, for an answer, and between two tries
NOT_YET = 'not active'  # how the answer of a supervisor begins that is configured only


class Hook:
    """Fifty lines between a policy and the supervisor."""

    def __init__(self, node, refusal=lambda: ''):
        """
        Serve retries, and tell that no task is executed.

        :param refusal: returns why the scene cannot be tried again; '' if it can
        """
        self.executing, self.retry_wanted, self._refusal = False, False, refusal
        self._log = node.get_logger()
        self._start = node.create_client(StartEpisode, 'supervisor/start_episode')
        self._end = node.create_client(Trigger, 'supervisor/end_episode')
        self._executing = node.create_publisher(Bool, 'executing', 10)
        self._calls, self._again = [], 0.0  # not answered yet; when the next is made, s
        self._lock = threading.Lock()  # the policy may be in a thread of its own
        node.create_service(Trigger, 'retry', self._serve_retry)
        node.create_timer(0.1, self._report)

    def begin(self, task=''):
        """Start an episode, as soon as there is a supervisor."""
        with self._lock:
            self._calls = [(self._start, StartEpisode.Request(task=task))]
        self.resume()

    def resume(self):
        """Execute the task, from the start or again."""
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
        if call and time.monotonic() > self._again and call[0].service_is_ready():
            self._again = time.monotonic() + PATIENCE
            call[0].call_async(call[1]).add_done_callback(partial(self._note, call))

    def _note(self, call, future):
        answer = future.result()
        if not answer.success:  # an unknown task, for example: nothing is judged then
            self._log.error(
                f'the supervisor refuses: {answer.message}', throttle_duration_sec=10.0
            )
        with self._lock:
            if not answer.message.startswith(NOT_YET) and call in self._calls:
                self._calls.remove(call)
                self._again = 0.0

    def _serve_retry(self, request, response):
        response.message = self._refusal() if self.executing else 'no task is executed'
        response.success = not response.message
        if response.success:
            self.retry_wanted, self.executing = True, False
        self._executing.publish(Bool(data=self.executing))  # accepted: nothing is judged any more
        return response
