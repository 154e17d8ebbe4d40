"""Where jobs keep the programs that JAX compiles, so that the next job of the same kind need not compile them again."""

from __future__ import annotations

import hashlib
import os
import platform
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

FOLDER = ".jax_cache"
_ASKED, _FOUND = (f"/jax/compilation_cache/{event}" for event in ("compile_requests_use_cache", "cache_hits"))


def count_programs() -> Callable[[], str]:
    """Count, from now on, the programs that JAX needs; the result tells how many were compiled, and how many found."""
    import jax

    seen: Counter[str] = Counter()
    jax.monitoring.register_event_listener(lambda event, **_: seen.update([event]))
    return lambda: f"{seen[_ASKED] - seen[_FOUND]} programs compiled, {seen[_FOUND]} found in {FOLDER}"


def cache_settings(house: Path) -> dict[str, str]:
    """Environment variables that make JAX keep compiled programs in a folder of the repository, where it can be written to.

    Programs are made for one kind of processor, and nodes of a cluster may have several, so that each has a folder.
    """
    if not os.access(house, os.W_OK):
        return {}
    kind = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        kind = next((line for line in lines if line.startswith(("flags", "Features"))), kind)
    digest = hashlib.sha256(" ".join(sorted(kind.split())).encode()).hexdigest()[:12]
    return {
        "JAX_COMPILATION_CACHE_DIR": str(house / FOLDER / digest),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        # XLA takes two of its own tuning flags for features of the processor, and says at length that they are missing.
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
