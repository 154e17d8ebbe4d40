"""Plans with files that nobody has vouched for: each is read by survey.py, in another process, once while it is the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from row_files import paths_of
from sources import sources_of

from homodyne_lib.fitting.limits import check_search
from homodyne_lib.io.files import read_json, replacing
from homodyne_lib.model.model import Model, fixed_power
from homodyne_lib.prepare.entry_noise import require_frames_for_noise
from homodyne_lib.sampling.shards import shard_count

SURVEY = Path(__file__).with_name("survey.py")
KNOWN = Path(".snakemake/homodyne/files.json")
"""What earlier plans learnt, in the project folder; to delete it costs a second."""


def _death(path: str, code: int) -> str:
    """Why no answer came, in words."""
    reason = {
        signal.SIGPROF: "has no end; the file is damaged. Copy it again.",
        signal.SIGALRM: "takes too long; its disk does not answer, or the file is damaged. Try again, or copy the file.",
    }.get(-code, f"crashed ({signal.Signals(-code).name}); the file is damaged. Copy it again.")
    return f"{path}: reading the headers {reason}"


def ask(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers of survey.py; where a row ends its process, another goes on with the next."""
    answers: list[dict[str, Any]] = []
    # One thread needs little address space, of which a survey has a limit.
    environment = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    while len(answers) < len(rows):
        rest = rows[len(answers) :]
        child = subprocess.run(
            [sys.executable, str(SURVEY)],
            input=json.dumps(rest),
            capture_output=True,
            encoding="utf-8",
            env=environment,
            check=False,
        )
        lines = [json.loads(line) for line in child.stdout.splitlines(keepends=True) if line.endswith("\n")]
        answers += lines
        if len(lines) < len(rest):
            if child.returncode >= 0:
                raise RuntimeError(f"{SURVEY} failed:\n{child.stderr}")
            answers.append({"fault": _death(rest[len(lines)]["path"], child.returncode), "stamp": None})
    return answers


def _key(row: dict[str, Any]) -> str:
    """What an answer depends on: the row, the file as the disk knows it, and our code."""
    return json.dumps([row, [_on_disk(path) for path in paths_of(row)], sources_of("survey.py")], sort_keys=True)


def _on_disk(path: str) -> list[int] | str:
    """A file as the disk knows it."""
    try:
        status = os.stat(path)
        return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    except (OSError, ValueError) as error:
        return str(error)


def surveyed(rows: dict[str, dict[str, Any]], *, trust_faults: bool) -> dict[str, dict[str, Any]]:
    """What the file of each row holds: ``shape`` and ``notes``, or ``fault``; and ``stamp``.

    Parameters
    ----------
    rows : dict
        Rows without fault, by dataset.
    trust_faults : bool
        Whether a fault of an earlier plan still counts. It does for the jobs of that plan; a new plan asks again, as a
        disk may have come back.
    """
    try:
        known = dict(read_json(KNOWN))
    except (OSError, ValueError, TypeError):
        known = {}
    keys = {name: _key(row) for name, row in rows.items()}
    found = {
        name: known[key] for name, key in keys.items() if key in known and (trust_faults or "fault" not in known[key])
    }
    missing = [name for name in rows if name not in found]
    if missing:
        found |= zip(missing, ask([rows[name] for name in missing]), strict=True)
        try:
            KNOWN.parent.mkdir(parents=True, exist_ok=True)
            with replacing(KNOWN) as temporary:
                temporary.write_text(json.dumps({keys[name]: found[name] for name in rows}), encoding="utf-8")
        except (OSError, ValueError):
            pass  # where nothing can be written, the next plan asks again
    return {name: found[name] for name in rows}


def fault_of(
    row: dict[str, Any], found: dict[str, Any], config: Mapping[str, Any], in_metric: bool = False
) -> str | None:
    """Why the dataset of a row cannot be analysed, or None."""
    if "fault" in found:
        return found["fault"]
    try:
        require_frames_for_noise(found["shape"][1])
        shard_count(*found["shape"], config["cmc"]["shards"], in_metric=in_metric)
        model = Model(row["analysis_mode"], q_exponent=fixed_power(config["q_exponent"]))
        check_search(model.names, **search_of(config))
    except ValueError as error:
        return f"{row['path']}: {error}"
    return None


def search_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`~homodyne_lib.fitting.limits.check_search` is to know of a configuration."""
    settings = config["nlsq"]
    return {"n_starts": settings["starts"]} | {name: settings[name] for name in ("start", "fixed", "bounds")}
