"""Names of packages: as wheels have them, and as conda-forge and bioconda do."""

from __future__ import annotations

import re

# Needed to develop, to test and to set up, not by a rule; so they have no place in envs/homodyne.yaml.
DEVELOPMENT = {
    "check-jsonschema",
    "pytest",
    "pytest-xdist",
    "mypy",
    "hypothesis",
    "ruff",
    "snakefmt",
    "uv",
    "py-rattler",
}
# Where a package of requirements.in is called otherwise on conda-forge or bioconda.
CONDA_NAME = {
    "snakemake": "snakemake-minimal",
    "matplotlib": "matplotlib-base",
    "nbconvert": "nbconvert-core",
    "pypandoc-binary": "pypandoc",
    "typst": "typst-py",
}


def normalized(name: str) -> str:
    """One spelling of a wheel's name: small letters, words joined by hyphens."""
    return re.sub(r"[-_.]+", "-", name).lower()


def conda_name(name: str) -> str:
    """What a wheel is called on the channels."""
    name = normalized(name)
    return CONDA_NAME.get(name, name)
