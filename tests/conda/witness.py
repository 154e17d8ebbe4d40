"""`sitecustomize` of the test channel's Python: closes foreign packages, and lets each process testify at its end.

Snakemake appends its own import path to that of a script, so what an environment does not name would be found there.
The record is written below the environment's own prefix, so there is one only of processes that ran in it.
"""

import atexit
import json
import os
import sys
import time


class Closed:
    """Finder of a folder in which nothing is found."""

    def __init__(self, folder):
        if os.path.basename(folder) != "site-packages" or folder.startswith(sys.prefix):
            raise ImportError(f"{folder} is open")

    @staticmethod
    def find_spec(name, target=None):
        return None


def testify():
    modules = list(sys.modules.values())
    with open("/proc/self/maps", encoding="utf-8") as maps:
        mapped = {line.split(maxsplit=5)[5].rstrip("\n") for line in maps if "/" in line}
    record = {
        "prefix": sys.prefix,
        "program": sys.argv[0],
        "modules": sorted(file for module in modules if (file := getattr(module, "__file__", None))),
        "mapped": sorted(mapped),
    }
    folder = os.path.join(sys.prefix, "witness")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{time.time_ns()}-{os.getpid()}.json"), "w", encoding="utf-8") as stream:
        json.dump(record, stream)


sys.path_hooks.insert(0, Closed)
atexit.register(testify)
