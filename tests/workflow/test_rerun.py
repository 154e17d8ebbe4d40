"""What an edit of the library, the scripts, the environment, an input, the table or the configuration runs again.

The house is a copy, so that it can be edited. Results are empty files that Snakemake was told to take for made: it then
knows of them what it knows after a run, and plans in seconds.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import h5py
import pytest
import yaml
from workflow_support import CONFIG, ROOT, STAGES, TABLE, environment, make_project, snakemake, stages_from

sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import sources

# Rules of a dataset that run again, by the first of them. What was temporary is made again with what is made of it.
ALL, INGEST, SCALING, FIT, SAMPLE, REPORT = map(
    stages_from, ("simulate", "ingest", "estimate_scaling", "fit_nlsq", "sample_posterior", "write_report")
)


def both(rules: set[str]) -> dict[str, set[str]]:
    """These rules for both datasets, of which one is simulated; the summary follows."""
    return {"rest": rules - {"simulate"}, "flow": rules, "": {"summarise"}}


def alone(dataset: str, rules: set[str]) -> dict[str, set[str]]:
    """These rules for one dataset; the summary follows."""
    return {dataset: rules, "": {"summarise"}}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of what runs."""
    folder = tmp_path_factory.mktemp("copy") / "house"
    for path in sources.parts():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    return folder


@pytest.fixture(scope="module")
def project(house, tmp_path_factory):
    """The miniature project, all of it made as far as Snakemake knows."""
    folder = make_project(tmp_path_factory.mktemp("done") / "project")
    for line in re.findall(r"^    output: (.*)$", call(house, folder, "--dry-run"), re.MULTILINE):
        for path in (folder / name.removesuffix(" (temp)") for name in line.split(", ")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir()
    call(house, folder, "--touch", "--forceall", "--cores", "1")
    return folder


def call(house: Path, project: Path, *arguments: str) -> str:
    """What Snakemake says."""
    workflow = ["--snakefile", str(house / "Snakefile")]
    done = snakemake(project, *arguments, workflow=workflow)
    assert done.returncode == 0, done.stdout
    return done.stdout


def planned(house: Path, project: Path) -> dict[str, set[str]]:
    """Rules that would run, by dataset."""
    found = defaultdict(set)
    said = call(house, project, "--dry-run")
    for rule, job in re.findall(r"^(?:local)?rule (\w+):\n((?: +.*\n)*)", said, re.MULTILINE):
        dataset = re.search(r"^ +wildcards: dataset=(\w+)", job, re.MULTILINE)
        found[dataset[1] if dataset else ""].add(rule)
    found[""].discard("all")
    return {dataset: rules for dataset, rules in found.items() if rules}


@contextmanager
def edited(path: Path, content: str | bytes, age: float = 0) -> Iterator[None]:
    """Another content for a while, last changed ``age`` [s] ago; then the file is as it was."""
    before, status = path.read_bytes(), path.stat()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(path, ns=(status.st_atime_ns, path.stat().st_mtime_ns - int(age * 1e9)))
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


LONG_AGO = 1e6
CODE = {
    "homodyne_lib/io/hdf5.py": both(ALL),
    "homodyne_lib/simulation.py": alone("flow", ALL),
    "homodyne_lib/prepare/entry_noise.py": both(INGEST),
    "homodyne_lib/prepare/quantiles.py": both(SCALING),
    "homodyne_lib/sampling/nuts.py": both(SAMPLE),
    "workflow/scripts/report_text/exports.py": both(REPORT),
    "workflow/scripts/script_support.py": both(ALL),
    "homodyne_lib/steps/fitted.py": both(FIT),
    "homodyne_lib/results/posterior_records.py": both(SAMPLE),
    "homodyne_lib/interface/analysis.py": {},
    "workflow/scripts/page.py": both(REPORT),
    "workflow/scripts/tables.py": alone("flow", ALL),
    "workflow/scripts/plan.py": {},
    "workflow/scripts/fit_nlsq.py": both(FIT),
}


@pytest.mark.parametrize("file", CODE)
def test_a_digest_holds_what_its_rule_imports(monkeypatch, file):
    """The rules that an edit would run again, without a plan of each."""
    monkeypatch.setattr(sources, "digest", set)
    rules = [rule for rule in STAGES if ROOT / file in sources.sources_of.__wrapped__(f"{rule}.py")]
    found = {}
    for dataset, own in {"flow": rules, "rest": [rule for rule in rules if rule != "simulate"]}.items():
        found |= alone(dataset, stages_from(own[0])) if own else {}
    assert found == CODE[file]


def test_each_rule_depends_on_the_digest_of_its_script():
    rules = [rule for path in ROOT.glob("workflow/rules/*.smk") for rule in text(path).split("\nrule ")[1:]]
    scripts = {script: rule for rule in rules for script in re.findall(r'"\.\./scripts/(\w+\.py)"', rule)}
    assert len(scripts) == len(rules)
    del scripts["refuse.py"]  # makes no result
    assert [script for script, rule in scripts.items() if f'sources=sources_of("{script}")' not in rule] == []


@pytest.mark.parametrize(
    "file",
    ["homodyne_lib/simulation.py", "homodyne_lib/prepare/quantiles.py", "workflow/scripts/report_text/exports.py"],
)
def test_an_edit_of_the_code_reruns_what_imports_it(house, project, file):
    """Whatever the age of the edited file."""
    with edited(house / file, text(house / file) + "# edited\n", LONG_AGO):
        assert planned(house, project) == CODE[file]


def test_another_package_reruns_everything(house, project):
    file = house / "envs/homodyne.yaml"
    with edited(file, re.sub(r"scipy ==\S+", "scipy ==1.0", text(file))):
        assert planned(house, project) == both(ALL)


def test_what_no_result_depends_on_reruns_nothing(house, project):
    """Comments, documents, other programs, columns and settings in another order, an input that was touched."""
    table = project / "config/datasets.tsv"
    lines = [line.split("\t") for line in TABLE.splitlines()]
    turned = "".join("\t".join([*cells[:2], *reversed(cells[2:])]) + "\n" for cells in lines)
    edits = {
        house / file: text(house / file) + "\n# edited\n"
        for file in (
            "Makefile",
            "README.md",
            "docs/model.md",
            "envs/homodyne.yaml",
            "workflow/run.py",
            "homodyne_lib/spec/theory.py",
        )
    }
    edits[table] = turned + "# a comment\n"
    settings = yaml.safe_load(CONFIG)
    again = {
        name: dict(reversed(group.items())) if isinstance(group, dict) else group
        for name, group in reversed(settings.items())
    }
    edits[project / "config/config.yaml"] = yaml.safe_dump(again, sort_keys=False)
    edits[project / "config/rest.h5"] = (project / "config/rest.h5").read_bytes()
    with ExitStack() as stack:
        for path, content in edits.items():
            stack.enter_context(edited(path, content))
        assert planned(house, project) == {}


def another_measurement(path: Path) -> bytes:
    """The file with one number changed."""
    copy = path.with_name("copy.h5")
    shutil.copy(path, copy)
    with h5py.File(copy, "a") as file:
        file["exchange/C2T_all/g2_00002"][3, 9] += 0.01
    content = copy.read_bytes()
    copy.unlink()
    return content


def test_another_measurement_reruns_its_dataset(house, project):
    """An older one too."""
    file = project / "config/rest.h5"
    with edited(file, another_measurement(file), LONG_AGO):
        assert planned(house, project) == alone("rest", INGEST)


def test_an_older_large_measurement_is_another(tmp_path, monkeypatch):
    """Large files are known by size and age; their content would take long to read."""
    monkeypatch.setattr(sources, "_SMALL", 4)
    file = tmp_path / "large.h5"
    file.write_bytes(b"12345")
    os.utime(file, (2e9, 2e9))
    first = sources.stamp(file)
    assert sources.stamp(file) == first
    file.write_bytes(b"54321")
    os.utime(file, (1e9, 1e9))
    assert sources.stamp(file) != first
    assert sources.stamp(tmp_path / "gone.h5") is None


def test_a_file_that_cannot_be_read_has_no_stamp(tmp_path, monkeypatch):
    """The plan goes on, and the survey says why."""
    file = tmp_path / "small.h5"
    file.write_bytes(b"12345")
    assert sources.stamp(file) is not None
    assert sources.stamp(tmp_path / "a\0b.h5") is None and sources.stamp(tmp_path) is None

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert sources.stamp(file) is None


def test_a_cell_and_another_description_rerun_each_their_dataset(house, project):
    file = project / "config/flow.yaml"
    with (
        edited(file, text(file).replace("seed: 7", "seed: 8")),
        edited(project / "config/datasets.tsv", TABLE.replace("0.01\t\t0.1", "0.01\t\t0.2")),
    ):
        assert planned(house, project) == both(ALL)


def test_a_mode_reruns_the_fit_and_a_new_row_is_a_dataset(house, project):
    row = "more\trest.h5\tauto\tstatic\t0.01\t\t0.1\n"
    with edited(project / "config/datasets.tsv", TABLE.replace("static\t0.01", "static_isotropic\t0.01") + row):
        assert planned(house, project) == alone("rest", FIT) | alone("more", INGEST)


def test_a_gap_reruns_the_simulation_that_uses_it(house, project):
    with edited(project / "config/datasets.tsv", TABLE.replace("0.0054\t2e6", "0.0054\t1e6")):
        assert planned(house, project) == alone("flow", ALL)


def test_a_seed_reruns_fit_and_sampler(house, project):
    file = project / "config/config.yaml"
    with edited(file, text(file) + "seed: 2\n"):
        assert planned(house, project) == both(FIT)


def test_a_column_of_the_user_reruns_no_report(house, project):
    file = project / "config/config.yaml"
    header, rest, flow = TABLE.splitlines()
    table = "\n".join([f"{header}\tsalt [mM]", f"{rest}\t10", flow])
    with (
        edited(project / "config/datasets.tsv", table),
        edited(file, text(file) + "report: {columns: ['salt [mM]']}\n"),
    ):
        assert planned(house, project) == both({"record_provenance"})


IMPORTED = """\
import importlib, pathlib, sys
house, scripts = pathlib.Path.cwd(), pathlib.Path.cwd() / "workflow/scripts"
sys.path[:0] = [str(house), str(scripts)]
for script in sorted(scripts.glob("*.py")):
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(house)):
            del sys.modules[name]
    importlib.import_module(script.stem)
    files = [str(getattr(module, "__file__", None)) for module in sys.modules.values()]
    print(script.name, *sorted(f[len(str(house)) + 1:] for f in files if f.startswith(str(house))))
"""


def test_every_module_that_python_loads_is_followed(house):
    """Where the package itself imports nothing, Python loads for a script what that script needs."""
    with edited(house / "homodyne_lib/__init__.py", ""):
        loaded = subprocess.run(
            [sys.executable, "-c", IMPORTED],
            cwd=house,
            env=environment(house.parent) | {"PYTHONPATH": ""},
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
    lines = [line.split(" ") for line in loaded.splitlines()]
    assert len(lines) > 10
    for script, *files in lines:
        followed = {path.relative_to(ROOT).as_posix() for path in sources.sources(sources.SCRIPTS / script)}
        assert set(files) <= followed, script
