"""A loop that is shared out to processes: the same results, and nobody left behind."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest
from workflow_support import ROOT

from homodyne_lib.sampling.processes import shared_out


def named(pid_of_parent, items):
    """The items, and whether this process is another than the parent."""
    return [(item, os.getpid() != pid_of_parent) for item in items]


@pytest.mark.parametrize(("n_items", "n_processes"), [(5, 1), (5, 2), (5, 3), (2, 4), (1, 0)])
def test_results_come_in_order_from_as_many_processes_as_there_are(n_items, n_processes):
    actual = shared_out(partial(named, os.getpid()), n_items, n_processes)
    assert [item for item, _ in actual] == list(range(n_items))
    assert [elsewhere for _, elsewhere in actual] == [
        item % max(1, min(n_items, n_processes)) > 0 for item in range(n_items)
    ]


def refuse(items):
    raise ValueError(f"no {items[0]}")


def test_what_one_process_cannot_do_is_an_error():
    with pytest.raises(ValueError, match="no 0"):
        shared_out(refuse, 2, 2)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_its_parent(blow):
    """However it ends, and without its script being run once more in the others."""
    code = """
import signal, sys, time
sys.path.insert(0, %r)
from homodyne_lib.sampling.processes import shared_out
signal.signal(signal.SIGINT, signal.SIG_DFL)
print("started", flush=True)
shared_out(lambda items: time.sleep(600), 3, 3)
"""
    command = [sys.executable, "-c", code % str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        try:
            assert parent.stdout.readline() == b"started\n"
            # Two that work and the one in which loky counts its semaphores.
            give_up = time.monotonic() + 60
            while len(children := psutil.Process(parent.pid).children(recursive=True)) < 3:
                assert time.monotonic() < give_up
                time.sleep(0.1)
            time.sleep(2.0)
            parent.send_signal(blow)
            parent.wait(timeout=10)
            _, alive = psutil.wait_procs(children, timeout=20)
            assert not alive
            assert parent.stdout.read() == b""
        finally:
            parent.kill()
