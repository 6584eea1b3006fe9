"""Threads that ask at the same time share a call ("flat combining", Hendler et al., SPAA 2010).

The first one makes the call; those that come meanwhile gather, and one of them leads the next call. A lone question waits for nobody.
"""

import threading
from collections.abc import Callable, Sequence

from posthaste.lib.flow.model import Answer
from posthaste.lib.flow.wire_format import Question

MOST_AT_ONCE = 200


class _Asked:
    __slots__ = ("answer", "error", "is_leader", "question", "released")

    def __init__(self, question: Question) -> None:
        self.question = question
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.is_leader = False
        self.released = threading.Lock()
        self.released.acquire()


class Together:
    """The questions of a process's threads. `call` asks several at once, one thread at a time, and gives an answer each, in order."""

    def __init__(self, call: Callable[[Sequence[Question]], Sequence[Sequence[int]]]) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._waiting: list[_Asked] = []
        self._is_busy = False

    def ask(self, question: Question) -> Answer:
        """Ask with whoever asks at the same time and return the answer.

        Raises:
            posthaste.lib.redis.Unavailable: as the call that it went with.
        """
        asked = _Asked(question)
        with self._lock:
            leads = not self._is_busy
            if leads:
                self._is_busy = True
            else:
                self._waiting.append(asked)
        group = [asked]
        if not leads:
            asked.released.acquire()
            if not asked.is_leader:
                if asked.error is not None:
                    raise asked.error
                assert asked.answer is not None
                return asked.answer
            with self._lock:
                group += self._waiting[: MOST_AT_ONCE - 1]
                del self._waiting[: MOST_AT_ONCE - 1]
        try:
            answers = self._call([entry.question for entry in group])
            for entry, found in zip(group, answers, strict=True):
                entry.answer = Answer(*found)
        except Exception as error:
            for entry in group:
                entry.error = error
            raise
        finally:
            with self._lock:
                following = self._waiting.pop(0) if self._waiting else None
                self._is_busy = following is not None
            if following is not None:
                following.is_leader = True
                following.released.release()
            for entry in group[1:]:
                entry.released.release()
        assert asked.answer is not None
        return asked.answer
