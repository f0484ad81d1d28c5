"""Work in threads: one ahead of what uses it, or several beside each other."""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

T = TypeVar("T")
R = TypeVar("R")
WAITING = 2  # results that are ready before their turn, for each thread


def prefetch(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items, each computed in a thread while the one before is used.

    Errors of `items` are raised here. Closing this waits for the item in progress.
    """
    with ThreadPoolExecutor(1, "prefetch") as thread:
        ahead = thread.submit(next, items, None)
        while (item := ahead.result()) is not None:
            ahead = thread.submit(next, items, None)
            yield item


def side_by_side(
    function: Callable[[T], R], items: Iterator[T], most: int, width: Callable[[], int]
) -> Generator[R, None, None]:
    """The results of `function` for each item, in order.

    Errors, also those of `items`, are raised when it is their turn. Closing this waits for what is
    in progress.

    Args:
        function: called in threads.
        items: taken only when there is room for another.
        most: how many threads there can ever be.
        width: how many items may be in progress now; asked again and again.
    """
    pool = ThreadPoolExecutor(most, "clip")
    pending: deque[Future[R]] = deque()
    left = True
    try:
        while left or pending:
            running = [future for future in pending if not future.done()]
            if pending and pending[0].done():
                yield pending.popleft().result()
            elif left and len(running) < width() and len(pending) < WAITING * width():
                try:
                    pending.append(pool.submit(function, next(items)))
                except StopIteration:
                    left = False
                except Exception as error:  # noqa: BLE001 - raised below, in its turn
                    left = False
                    pending.append(pool.submit(_raise, error))
            else:
                wait(running, return_when=FIRST_COMPLETED)
    finally:
        pool.shutdown(cancel_futures=True)


def _raise(error: Exception) -> NoReturn:
    raise error
