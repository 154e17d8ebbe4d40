"""A loop that is divided among processes, which end with the one that started them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from loky import ProcessPoolExecutor

__all__ = ["shared_out"]

_Result = TypeVar("_Result")
# Time between two checks that the parent lives [s].
_CHECK_INTERVAL = 1.0


def shared_out(work: Callable[[Sequence[int]], list[_Result]], n_items: int, n_processes: int) -> list[_Result]:
    """Do the items of a loop in several processes, this one among them.

    Parameters
    ----------
    work : callable
        Takes indices of items and returns as many results; the function and its results must be picklable.
    n_items, n_processes : int

    Returns
    -------
    list
        Results in the order of the items, whatever the number of processes.
    """
    n = max(1, min(n_processes, n_items))
    shares = [range(n_items)[first::n] for first in range(n)]
    if n == 1:
        return work(shares[0])
    with ProcessPoolExecutor(n - 1, initializer=_end_with, initargs=(os.getpid(),)) as pool:
        others = [pool.submit(work, share) for share in shares[1:]]
        results = [work(shares[0]), *(other.result() for other in others)]
    return [results[item % n][item // n] for item in range(n_items)]


def _end_with(parent: int) -> None:
    """Let Ctrl-C end this process also inside of compiled code, and let it not outlive its parent, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def watch():
        while os.getppid() == parent:
            time.sleep(_CHECK_INTERVAL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
