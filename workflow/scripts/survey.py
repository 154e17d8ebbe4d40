"""What the files of rows hold, read before any job in a process of its own, which a bad file may hold up or end.

python survey.py < rows.json        rows as a list; a line of JSON for each, in their order
"""

from __future__ import annotations

import script_support

import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
from row_files import paths_of
from sources import stamp
from tables import read_simulation
from user_yaml import short

from homodyne_lib.io.bin_selection import crossed_bins, parse_phi_ranges, select_bins
from homodyne_lib.io.frame_selection import parse_bad_frames, select_frames
from homodyne_lib.io.input_files import InputError
from homodyne_lib.io.reader import two_time_headers
from homodyne_lib.io.repeats import Header, require_alike
from homodyne_lib.io.wavevectors import numbers_of, parse_wavevectors, rings_wanted

PROCESSOR, WALL = 3, 30
"""Longest time of the processor, which a file without end takes, and of the clock, which a slow disk takes, a file [s]."""
_MEMORY = 4 << 30  # [B] of address space; headers take a thousandth of it


def survey(row: dict[str, Any]) -> dict[str, Any]:
    """``shape``, numbers of bins and frames of a row, and ``notes`` on its file; ``simulated`` is the shape of a movie.

    Raises
    ------
    ValueError
        If the file or the selection cannot be used.
    """
    frames = {
        "start_frame": row["start_frame"],
        "end_frame": row["end_frame"],
        "bad_frames": parse_bad_frames(row["bad_frames"]),
    }
    wavevectors, paths = parse_wavevectors(row["wavevector_q"]), paths_of(row)
    bins = {"q_tolerance": row["q_tolerance"], "phi_ranges": parse_phi_ranges(row["phi_ranges"])}
    if row["format"] == "speckle-sim":
        plans = [read_simulation(path, row["analysis_mode"]) for path in paths]
        q = numbers_of(wavevectors)
        headers = [_simulated(path, plan, q, bins, frames) for path, plan in zip(paths, plans, strict=True)]
        require_alike([*map(Path, paths)], headers)
        shape = [sum(header.n_bins for header in headers), len(headers[0].frames)]
        n_bins = max(len(plan["phi"]) for plan in plans) * len(q)
        return {"shape": shape, "notes": [], "simulated": [n_bins, max(plan["n_frames"] for plan in plans)]}
    shape, notes = two_time_headers(
        paths,
        format=row["format"],
        wavevector_q=wavevectors,
        **bins,
        **frames,
        dt=row["dt"],
    )
    return {"shape": list(shape), "notes": list(notes)}


def _simulated(
    path: str, plan: dict[str, Any], q: list[float], wanted: dict[str, Any], frames: dict[str, Any]
) -> Header:
    """What will be read of the file of a simulation."""
    try:
        bins = crossed_bins(plan["phi"], q)
        rings = rings_wanted(q, bins.q, wanted["q_tolerance"])
        chosen = [select_bins(bins.q, bins.phi, wavevector_q=ring, **wanted)[0] for ring in rings]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    numbers = select_frames(np.arange(1, plan["n_frames"] + 1), **frames) + 1
    return Header(tuple(rings), sum(map(len, chosen)), numbers, None)


def answer(row: dict[str, Any]) -> dict[str, Any]:
    """What :func:`survey` returns, or the ``fault`` of a row; and the ``stamp`` of its file."""
    try:
        found = survey(row)
    except MemoryError:
        found = {"fault": f"{row['path']}: the file lists more frames or bins than can be analysed; process fewer."}
    except Exception as error:
        words = f"{row['path']}: this file cannot be read ({type(error).__name__}: {short(str(error))}); copy it again."
        found = {"fault": str(error) if script_support.is_told(error) else words}
    stamps = [stamp(path) for path in paths_of(row)]
    return found | {"stamp": stamps[0] if len(stamps) == 1 else stamps}


def main() -> None:
    """Answer row by row, so that the parent knows at which one this process ended."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY if most == resource.RLIM_INFINITY else min(_MEMORY, most), most))
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    for row in json.load(sys.stdin):
        # Unlike an exception, a signal without handler also ends a loop of compiled code.
        n_files = len(paths_of(row))
        signal.setitimer(signal.ITIMER_PROF, n_files * PROCESSOR)
        signal.setitimer(signal.ITIMER_REAL, n_files * WALL)
        print(json.dumps(answer(row)), flush=True)
    for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
        signal.setitimer(timer, 0)


if __name__ == "__main__":
    main()
