"""Following a stream without reading it: what the consumer takes is shown to a collector on its way.

    class Answer(Call):                                     # a collector is usually the call itself, see treerings.wrapping
        __slots__ = ("chunks",)

        complete = False

        def take(self, item):
            self.chunks.append(...)                         # copy what is needed, bounded
            return bool(item.text)                          # whether this was output: the first time is the first token's

        def close(self, status, error, time_ns):
            self.end(status=status, error=error, time_ns=time_ns, usage=..., output=...)

Where the SDK's stream object keeps its iterator in an attribute, `follow_inside(stream, "_iterator", answer)` replaces that:
the object keeps its type, identity, context managers and attributes. Bare generators are replaced by `follow_generator`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any, Protocol

from .context import OpenStep, enter, leave
from .events import Status
from .own_steps import status_of
from .recorder import Recorder, add_caretaker

__all__ = [
    "AsyncFollowed",
    "Collector",
    "Followed",
    "follow_async_generator",
    "follow_generator",
    "follow_inside",
]

logger = logging.getLogger("treerings")

MAX_ABANDONED = 10_000
"""Streams that the garbage collector found and that are not ended yet; the steps of the oldest end as never ended."""


class Collector(Protocol):
    """What a stream is shown to. May raise: it is logged, and the stream goes on."""

    recorder: Recorder
    step: OpenStep

    @property
    def complete(self) -> bool:
        """Whether the answer is whole, although the stream may not be at its end: leaving it now cancels nothing."""

    def take(self, item: Any) -> bool:
        """An item was passed on; copy what is needed of it. Gives whether it was output, for the time of the first token."""

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        """The stream ended, once: `ok` at its end, `error` with what it raised, `cancelled` where it was left early.

        `time_ns` is when it ended, where that was not now.
        """


class _Following:
    """What following needs beside the iterator: the collector, told once of the end."""

    __slots__ = ("_collector", "_ended", "_iterator", "_running", "_spoken")

    def __init__(self, iterator: Any, collector: Collector) -> None:
        self._iterator = iterator
        self._collector = collector
        self._ended = False
        self._running = False
        self._spoken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iterator, name)

    def left(self) -> None:
        """The consumer closed the stream, or what it reads from. Within a read nothing is left: the read tells what it was."""
        if not self._running:
            self._end(Status.CANCELLED)

    def hand_over(self) -> Collector:
        """The collector, for another follower that reads the same in another way; this one tells it nothing more."""
        self._ended = True
        return self._collector

    def __del__(self) -> None:
        # Within a collection nothing may wait for a lock: the next look of the caretaker ends the step.
        try:
            if not self._ended:
                self._ended = True
                _abandoned.append((self._collector, self._collector.recorder.clock.time_ns()))
        except Exception:  # the interpreter is going down
            pass

    def _took(self, item: Any) -> None:
        try:
            collector = self._collector
            if collector.take(item) and not self._spoken:
                self._spoken = True
                recorder = collector.recorder
                recorder.update(collector.step, first_token_ns=recorder.clock.monotonic_ns())
        except Exception as error:  # a bug of ours is no reason to stop the stream
            self._spoken = True
            logger.error("An item of a stream is not recorded", exc_info=error)

    def _end(self, status: Status, error: BaseException | None = None) -> None:
        if not self._ended:
            self._ended = True
            _close(self._collector, status, error, None)


class Followed(_Following):
    """A followed iterator. Its reads run with the collector's step as the current one."""

    __slots__ = ("__weakref__",)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._ended:
            return next(self._iterator)
        self._running = True
        token = enter(self._collector.step)
        try:
            item = next(self._iterator)
        except StopIteration:
            self._end(Status.OK)
            raise
        except BaseException as error:
            self._end(status_of(error), error)
            raise
        finally:
            leave(token)
            self._running = False
        self._took(item)
        return item

    def close(self) -> None:
        """Close the iterator, where it can be closed: the stream is left."""
        try:
            close = getattr(self._iterator, "close", None)
            if close is not None:
                close()
        finally:
            self.left()


class AsyncFollowed(_Following):
    """A followed asynchronous iterator. Its reads run with the collector's step as the current one."""

    __slots__ = ("__weakref__",)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._ended:
            return await anext(self._iterator)
        self._running = True
        token = enter(self._collector.step)
        try:
            item = await anext(self._iterator)
        except StopAsyncIteration:
            self._end(Status.OK)
            raise
        except BaseException as error:
            self._end(status_of(error), error)
            raise
        finally:
            leave(token)
            self._running = False
        self._took(item)
        return item

    async def aclose(self) -> None:
        """Close the iterator, where it can be closed: the stream is left."""
        try:
            aclose = getattr(self._iterator, "aclose", None)
            if aclose is not None:
                await aclose()
        finally:
            self.left()


def follow_inside(stream: Any, name: str, collector: Collector) -> Followed | AsyncFollowed | None:
    """Follow the iterator that `stream` keeps as its attribute `name`; None if this version keeps none.

    The stream object stays what it is. Where the SDK closes it without its iterator,
    call `left()` of what this gives.
    """
    iterator = getattr(stream, name, None)
    followed: Followed | AsyncFollowed
    if hasattr(type(iterator), "__anext__"):
        followed = AsyncFollowed(iterator, collector)
    elif hasattr(type(iterator), "__next__"):
        followed = Followed(iterator, collector)
    else:
        return None
    try:
        setattr(stream, name, followed)
    except (AttributeError, TypeError):
        followed._ended = True
        return None
    return followed


def follow_generator(generator: Iterator[Any], collector: Collector) -> Generator[Any, Any, Any]:
    """A generator in place of one, or of another bare iterator: items, result, `send`, `throw` and `close` go through."""
    return _generator(Followed(generator, collector))


def follow_async_generator(generator: AsyncIterator[Any], collector: Collector) -> AsyncGenerator[Any, None]:
    """An asynchronous generator in place of one, or of another bare iterator."""
    return _async_generator(AsyncFollowed(generator, collector))


def _generator(followed: Followed) -> Generator[Any, Any, Any]:
    return (yield from followed)


async def _async_generator(followed: AsyncFollowed) -> AsyncGenerator[Any, None]:
    try:
        async for item in followed:
            yield item
    finally:
        await followed.aclose()


def _close(collector: Collector, status: Status, error: BaseException | None, time_ns: int | None) -> None:
    try:
        if status is Status.CANCELLED and collector.complete:
            status, error = Status.OK, None
        collector.close(status, error, time_ns)
    except Exception as problem:  # as in _took
        logger.error("The end of a stream is not recorded as it was", exc_info=problem)
        collector.recorder.end(collector.step, status=status, error=error, time_ns=time_ns)


_abandoned: deque[tuple[Collector, int]] = deque(maxlen=MAX_ABANDONED)


def end_abandoned(_recorder: Recorder | None = None) -> None:
    """End the steps of streams that nobody holds any more; the recorder's worker asks for it."""
    for _ in range(len(_abandoned)):
        try:
            collector, time_ns = _abandoned.popleft()
        except IndexError:  # another thread was quicker
            return
        _close(collector, Status.CANCELLED, None, time_ns)


add_caretaker(end_abandoned)
