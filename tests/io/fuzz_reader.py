"""A process that reads two-time files one after the other, so that a hang or a crash ends it and not the tests.

Each line of its input is JSON: a path, and keywords of read_two_time. Each line of its output: the digest of the record,
its notes and what is wrong with it, or the sentence with which the file was refused, or an error that is none.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "workflow" / "scripts")]

from script_support import is_told  # noqa: E402

import numpy as np  # noqa: E402

from homodyne_lib.io.reader import read_two_time  # noqa: E402

MEMORY = 2 * 2**30  # [B] that the files may take besides the libraries


def faults(record) -> list[str]:
    """What no record may be, however damaged its file was."""
    upper = record.c2[:, *np.triu_indices(record.c2.shape[1], 1)]
    checks = {
        "c2 is not symmetric": np.array_equal(record.c2, record.c2.transpose(0, 2, 1)),
        "c2 is not finite and positive": bool(np.all(np.isfinite(upper) & (upper > 0))),
        "phi is out of range or order": bool(np.all(np.diff(record.phi) > 0) and np.all(np.abs(record.phi) <= 180)),
        "q is not positive": bool(np.all((record.q > 0) & (record.q < np.inf))),
        "frames do not ascend": bool(np.all(np.diff(record.frames) > 0)),
    }
    return [fault for fault, good in checks.items() if not good]


def digest(record) -> str:
    """Of the numbers of a record."""
    total = hashlib.sha256()
    for value in (record.c2, record.raw_diagonal, record.phi, record.q, record.frames, record.pixels):
        total.update(repr(None if value is None else np.asarray(value).shape).encode())
        total.update(b"" if value is None else np.asarray(value).astype("f8").tobytes())
    return total.hexdigest()


def answer(path: str, asked: dict) -> dict:
    """Read one file."""
    try:
        record = read_two_time(path, **asked)
    except Exception as error:
        if is_told(error):
            return {"sentence": str(error)}
        return {"error": traceback.format_exc()}
    return {"digest": digest(record), "notes": list(record.notes), "faults": faults(record)}


if __name__ == "__main__":
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + MEMORY, own + MEMORY))
    for line in sys.stdin:
        path, asked = json.loads(line)
        print(json.dumps(answer(path, asked)), flush=True)
