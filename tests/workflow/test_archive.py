"""Provenance of a finished dataset, and the archive that reproduces it, bit for bit, in another folder."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate
from workflow_support import CONFIG, ROOT, TABLE, UP_TO_FIT, environment, files_below, make_project, snakemake

sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "workflow" / "scripts")]

import archive  # noqa: E402
import sources  # noqa: E402
import tables  # noqa: E402
import versions  # noqa: E402

DATASET = "rest"
COLUMN, MISSING = "salt [mM]", "stress [Pa]"


def make(*arguments: str) -> subprocess.CompletedProcess:
    """Call make in the repository, as a user does; this environment stays as it is."""
    # Called from another make, as by `make test`, it would name its folder first.
    command = ["make", "--no-print-directory", "--old-file=env", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Call the program behind `make archive`."""
    program = [sys.executable, str(ROOT / "workflow" / "archive.py"), "--directory", str(folder)]
    return subprocess.run([*program, *arguments], capture_output=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The miniature project with two columns of its user, one dataset carried to its end and then packed."""
    folder = make_project(tmp_path_factory.mktemp("first") / "project")
    header, rest, flow = TABLE.splitlines()
    rows = [f"{header}\t{COLUMN}\t{MISSING}", f"{rest}\t295.5\t", f"{flow}\t296\t3"]
    (folder / "config/datasets.tsv").write_text("\n".join(rows), encoding="utf-8")
    settings = CONFIG + f"report: {{columns: ['{COLUMN}', '{MISSING}']}}\n"
    (folder / "config/config.yaml").write_text(settings, encoding="utf-8")
    done = snakemake(folder, "--cores", "2", f"results/{DATASET}/provenance.json")
    assert done.returncode == 0, done.stdout
    packed = make("archive", f"DIR={folder}", f"DATASET={DATASET}")
    assert packed.returncode == 0, packed.stderr
    assert packed.stdout.startswith(f"{folder}/results/{DATASET}.tar.gz (")
    return folder


@pytest.fixture(scope="module")
def unpacked(project, tmp_path_factory):
    """The archive in another folder, after its one line; only the packages are those of this environment."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with tarfile.open(project / f"results/{DATASET}.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    lend_environment(folder / DATASET / archive.SOURCES)
    return folder / DATASET, reproduce(folder / DATASET)


def lend_environment(house: Path) -> None:
    """Links to this environment, with a stamp that calls it the one of the lock there: nothing is installed."""
    (house / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != ".requirements.lock":
            (house / ".venv" / part.name).symlink_to(part)
    shutil.copy(house / "envs/requirements.lock", house / ".venv/.requirements.lock")


def reproduce(folder: Path) -> subprocess.CompletedProcess:
    """The one line of the archive."""
    variables = environment(folder.parent) | {"CORES": "2"}
    return subprocess.run(
        ["sh", "reproduce.sh"], cwd=folder, env=variables, capture_output=True, encoding="utf-8", check=False
    )


def lasting(folder: Path) -> dict[str, bytes]:
    """Results by name, without what tells of the run."""
    names = {name for name in files_below(folder) if name.partition("/")[0] not in ("logs", "benchmarks")}
    return {name: (folder / name).read_bytes() for name in names - {"provenance.json"} if "/." not in name}


# --- provenance


@pytest.fixture(scope="module")
def record(project):
    return json.loads((project / f"results/{DATASET}/provenance.json").read_text(encoding="utf-8"))


def test_provenance_names_input_and_results_by_their_digest(project, record):
    def digest(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    assert record["inputs"] == [{"file": "rest.h5", "sha256": digest(project / "config/rest.h5")}]
    assert {"nlsq.json", "posterior.nc", "cmc.json", "parameters.csv", "calibration.json"} < record["results"].keys()
    for name, known in record["results"].items():
        assert digest(project / "results" / DATASET / name) == known, name


def test_provenance_has_row_and_settings_with_their_defaults(record):
    assert (record["row"]["dt"], record["row"]["q_tolerance"]) == (0.1, 0.02)
    assert record["columns"] == {COLUMN: 295.5}
    assert (record["config"]["nlsq"]["starts"], record["config"]["nlsq"]["max_evaluations"]) == (16, 200)
    assert record["config"]["report"]["columns"] == [COLUMN, MISSING]


def test_provenance_tells_time_and_memory_of_each_stage(record):
    assert list(record["stages"]) == [*UP_TO_FIT[1:], "sample_posterior", "write_report"]
    for stage in record["stages"].values():
        assert stage["wall [s]"] > 0
    sampler = record["stages"]["sample_posterior"]
    assert sampler["cpu [s]"] > 1
    assert 100 < sampler["memory [MiB]"] < 4000
    assert record["total"]["wall [s]"] == pytest.approx(sum(s["wall [s]"] for s in record["stages"].values()))
    assert record["total"]["memory [MiB]"] == max(s["memory [MiB]"] or 0 for s in record["stages"].values())


def test_provenance_names_packages_machine_and_commit(record):
    assert record["packages"]["python"] == platform.python_version()
    assert record["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert record["host"]["name"] == platform.node()
    assert record["code"].keys() == {"commit", "changed"}


def test_without_a_benchmark_a_stage_has_no_times(tmp_path):
    import record_provenance

    (tmp_path / "a.tsv").write_text("s\tmax_rss\tcpu_time\n1.5\t-\tNA\n", encoding="utf-8")
    nothing = dict.fromkeys(record_provenance.MEASURES)
    assert record_provenance.measured(tmp_path / "a.tsv") == nothing | {"wall [s]": 1.5}
    assert record_provenance.measured(tmp_path / "b.tsv") == nothing


def test_a_machine_reads_what_the_archive_holds(unpacked, record):
    """RO-Crate 1.2, read back: the workflow, and an action that made results of inputs, which are all there."""
    folder, _ = unpacked
    crate = ROCrate(folder)
    text = json.loads((folder / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    assert text["@context"] == "https://w3id.org/ro/crate/1.2/context"
    assert (folder / crate.mainEntity.id).is_file() and "ComputationalWorkflow" in crate.mainEntity.type
    for entity in crate.data_entities:
        assert (folder / entity.id).is_file(), entity.id
    run = crate.root_dataset["mentions"]
    assert run.type == "CreateAction" and run["instrument"].id == crate.mainEntity.id
    inputs = {f"project/config/{name}" for name in files_below(folder / "project/config")}
    assert {entity.id for entity in run["object"]} == inputs
    made = {entity.id: entity for entity in run["result"]}
    assert made["results/report.html"]["encodingFormat"] == "text/html"
    for name, digest in record["results"].items():
        assert made[f"results/{name}"]["sha256"] == digest
    assert crate.root_dataset["license"] and crate.root_dataset["datePublished"] and crate.name and crate.description


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A repository of two files in place of ours."""
    for name in ("Snakefile", "Makefile"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    for module in (sources, versions):
        monkeypatch.setattr(module, "HOUSE", tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.strip()


def test_a_commit_is_told_with_what_differs_from_it(house):
    git(house, "init", "--quiet")
    git(house, "add", ".")
    git(house, "commit", "--quiet", "--message", "one")
    head = git(house, "rev-parse", "HEAD")
    (house / "my-project").write_text("not of the code", encoding="utf-8")
    assert versions.code() == {"commit": head, "changed": False}
    (house / "Snakefile").write_text("changed", encoding="utf-8")
    assert versions.code() == {"commit": head, "changed": True}
    assert versions.in_words(versions.code()) == f"commit {head} with uncommitted changes"


def test_an_unpacked_archive_knows_its_commit_and_whether_it_was_edited(house, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(house.parent))
    assert versions.in_words(versions.code()) == "not a git checkout"
    known = {"commit": "abc", "changed": False}
    digest = sources.digest(sources.parts())
    (house / versions.RECORD).write_text(json.dumps(known | {"digest": digest}), encoding="utf-8")
    assert versions.code() == known
    (house / "Snakefile").write_text("changed", encoding="utf-8")
    assert versions.code() == known | {"changed": True}


# --- archive


def test_the_one_line_makes_the_same_results_bit_for_bit(unpacked):
    folder, done = unpacked
    assert done.returncode == 0, done.stdout + done.stderr
    ours, theirs = lasting(folder / "results"), lasting(folder / f"project/results/{DATASET}")
    assert ours.keys() == theirs.keys()
    assert {"nlsq.json", "posterior.nc", "cmc.json", "parameters.csv", "calibration.json", "report.html"} < ours.keys()
    assert [name for name, content in ours.items() if content != theirs[name]] == []
    assert done.stdout.endswith(f"{folder}/project/results/{DATASET} are those of the archive, bit for bit.\n")


def test_a_result_that_differs_is_named(unpacked):
    folder, _ = unpacked
    fit = folder / "results/nlsq.json"
    good = fit.read_bytes()
    fit.write_bytes(good.replace(b"1", b"2", 1))
    told = reproduce(folder)
    fit.write_bytes(good)
    assert told.returncode == 1
    assert told.stderr.endswith("Not those of the archive, bit for bit: nlsq.json\n")


def test_the_archive_has_one_input_one_row_and_the_environment(unpacked):
    folder, _ = unpacked
    config = folder / "project/config"
    assert files_below(config) == {"config.yaml", "datasets.tsv", "data/rest.h5"}
    assert len((config / "datasets.tsv").read_text(encoding="utf-8").splitlines()) == 2
    assert {"homodyne.yaml", "requirements.lock", "bootstrap.sh"} <= files_below(folder / archive.SOURCES / "envs")
    assert (folder / archive.SOURCES / "profiles/default/profile.yaml").is_file()
    words = (folder / "README.md").read_text(encoding="utf-8")
    assert "    sh reproduce.sh\n" in words
    assert ("\nUncommitted changes are in the files here" in words) == bool(versions.code()["changed"])


@pytest.mark.filterwarnings("ignore:RO-Crate version")
def test_equal_content_gives_equal_bytes(project, record, tmp_path, monkeypatch):
    # Another time and another owner's rights are no other content.
    log = project / f"results/{DATASET}/logs/ingest.log"
    os.utime(log)
    log.chmod(0o600)
    monkeypatch.chdir(project)
    archive.pack(tmp_path / "again", record)
    assert (tmp_path / "again").read_bytes() == Path(f"results/{DATASET}.tar.gz").read_bytes()


def test_a_simulation_is_packed_by_its_description(project, monkeypatch):
    """From elsewhere: the place of the file is no part of the archive."""
    monkeypatch.chdir(project)
    elsewhere = project / "elsewhere.yaml"
    shutil.copy("config/flow.yaml", elsewhere)
    row = tables.read_datasets("config/datasets.tsv", [COLUMN, MISSING])["flow"]
    row["file"] = str(elsewhere)
    config = {"datasets": "config/datasets.tsv", "report": {"columns": [MISSING, COLUMN], "matrix_pixels": 100}}
    digest = hashlib.sha256(elsewhere.read_bytes()).hexdigest()
    row.pop("path")
    known = {"row": row, "columns": {MISSING: 3.0, COLUMN: 296.0}, "config": config, "inputs": [{"sha256": digest}]}
    files = dict(archive.project_files(known))
    assert files["config/data/elsewhere.yaml"] == elsewhere
    table = project / "packed.tsv"
    table.write_text(files["config/datasets.tsv"], encoding="utf-8")
    found = tables.read_datasets(str(table), [COLUMN, MISSING])["flow"]
    assert found.pop("path") == str(project / "data/elsewhere.yaml")
    assert found == row | {"file": "data/elsewhere.yaml"}
    assert tables.read_extra_columns(str(table), [MISSING, COLUMN]) == {"flow": known["columns"]}
    assert str(project) not in files["config/config.yaml"] + files["config/datasets.tsv"]


@pytest.mark.parametrize(
    ("dataset", "sentence"),
    {
        "": "archive: no dataset is named; say make archive DATASET=..., where finished in {folder} are: rest.\n",
        "rust": "archive: config/datasets.tsv has no dataset 'rust'; it has rest, flow.\n",
        "flow": "archive: the results of flow are not complete; finish them with make run DIR={folder}. Now finished in ",
    }.items(),
)
def test_what_cannot_be_packed_is_told_in_a_sentence(project, dataset, sentence):
    told = make("archive", f"DIR={project}", f"DATASET={dataset}")
    assert told.returncode != 0
    assert told.stderr.startswith(sentence.format(folder=project))
    assert not (project / f"results/{dataset}.tar.gz").exists()


def test_results_of_other_settings_are_refused(project):
    table = project / "config/datasets.tsv"
    good = table.read_text(encoding="utf-8")
    table.write_text(good.replace("\tstatic\t", "\tstatic_isotropic\t"), encoding="utf-8")
    told = call(project, DATASET)
    table.write_text(good, encoding="utf-8")
    assert told.returncode == 1
    assert told.stderr.startswith("archive: the results of rest are not those of its input, settings, code and ")
    assert ": fit_nlsq, record_provenance, sample_posterior, write_report would run." in told.stderr


def test_results_changed_by_hand_are_refused(project):
    page = project / f"results/{DATASET}/report.html"
    good = page.read_bytes()
    status = page.stat()
    page.write_bytes(good + b"<!-- better -->")
    os.utime(page, ns=(status.st_atime_ns, status.st_mtime_ns))
    told = call(project, DATASET)
    page.write_bytes(good)
    os.utime(page, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert told.returncode == 1
    assert told.stderr.startswith("archive: results/rest/report.html was changed after it was made; delete it and ")


def test_only_what_the_last_run_made_is_packed(tmp_path, monkeypatch):
    """Files of other settings stay in the folder: a calibration, shards, logs of stages that there are no more."""
    monkeypatch.chdir(tmp_path)
    stages = ["simulate-2", "sample_shard.1-of-4", "write_report"]
    known = {"dataset": DATASET, "results": {"nlsq.json": "", "c2.h5": ""}, "stages": dict.fromkeys(stages)}
    packed = {"nlsq.json", "c2.h5", "provenance.json", "figures/rates.png", "curves/rates.csv"}
    packed |= {f"logs/{stage}.log" for stage in stages} | {f"benchmarks/{stage}.tsv" for stage in stages}
    old = {"calibration.json", "shards/1-of-4.npz", "logs/sample_posterior.log", "benchmarks/sample_shard.1-of-2.tsv"}
    hidden = {"figures/.rates.png", ".report.abc/figures/rates.png"}
    for name in packed | old | hidden:
        (Path("results", DATASET) / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("results", DATASET) / name).touch()
    found = dict(archive.result_files(known))
    assert found == {name: Path("results", DATASET, name) for name in packed}


@pytest.mark.parametrize("target", ["/etc/hostname", "../nlsq.json", "nowhere", "/etc"])
def test_a_link_among_the_results_is_refused(project, record, tmp_path, monkeypatch, target):
    """What it leads to may be any file of the machine, and would be packed as if it were a result."""
    monkeypatch.chdir(project)
    link = Path(f"results/{DATASET}/curves/extra.csv")
    link.symlink_to(target)
    with pytest.raises(archive.Refused, match=f"^{link} is a link to {target}; .*$"):
        archive.pack(tmp_path / "packed", record)
    link.unlink()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(tmp_path):
    told = call(tmp_path / "nowhere", DATASET)
    assert told.returncode == 1
    assert (
        told.stderr
        == f"archive: {tmp_path / 'nowhere'} is not a folder; a project is a folder with a table in config/.\n"
    )
