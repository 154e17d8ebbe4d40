"""Where jobs keep the programs that JAX compiles, so that the next job of the same kind need not compile them again."""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path

FOLDER = ".jax_cache"
_SECONDS = "0.2"  # a program that compiles faster is not kept


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
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": _SECONDS,
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        # XLA takes two of its own tuning flags for features of the processor, and says at length that they are missing.
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
