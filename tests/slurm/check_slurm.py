"""The miniature table on a real SLURM, with faults on the way: its results are those of a local run, bit for bit.

`make test-slurm` starts the cluster, calls this file and takes the cluster down. pytest does not collect it by itself.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from workflow_support import ROOT, SHARDED, environment, files_below, make_project, snakemake

DATASETS = ("rest", "flow")
ACCOUNT, PARTITION = "beamtime", "long"
RUN = [sys.executable, str(ROOT / "workflow" / "run.py")]
LOCAL_RULES = {"summarise"}
TOO_SMALL, ENOUGH = 450, 3000  # MB: in the first Snakemake and Python start, JAX does not
OUT_OF_MEMORY = {"OUT_OF_MEMORY", "FAILED"}  # with cgroups, and without


def command(*words: str) -> str:
    return subprocess.run(words, capture_output=True, check=True, encoding="utf-8").stdout


def site_profile(folder: Path) -> None:
    """The shipped profile with the site's names, two processes a shard, and one that first asks for too little memory."""
    text = (ROOT / "workflow/profiles/slurm/profile.yaml").read_text(encoding="utf-8")
    for name, value in {"slurm_partition": PARTITION, "slurm_account": ACCOUNT}.items():
        text = text.replace(f"  # {name}: NAME\n", f"  {name}: {value}\n", 1)
    text += f"""
set-threads:
  sample_shard: 2
set-resources:
  sample_shard:
    mem_mb: {TOO_SMALL} if attempt == 1 and wildcards.dataset == "rest" and wildcards.shard == "0" else {ENOUGH}
slurm-keep-successful-logs: true
"""
    text = re.sub(r"(status-checks:) 20", r"\1 2", text)
    place = folder / "profiles/slurm/profile.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(text, encoding="utf-8")


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    """Start the front door with the folder's SLURM profile; what it says goes to the file ``told``."""
    with (folder / "told").open("a", encoding="utf-8") as told:
        return subprocess.Popen(
            [*RUN, "--directory", str(folder), "--workflow-profile", "slurm", *arguments],
            env=environment(folder.parent),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
        )


def told(folder: Path) -> str:
    return (folder / "told").read_text(encoding="utf-8")


def jobs(folder: Path) -> list[dict[str, str]]:
    """SLURM's account of every job that was submitted in a folder; a job that was started anew has several rows."""
    fields = ["JobIDRaw", "State", "Comment", "Account", "Partition", "ReqMem", "WorkDir"]
    options = ["--allocations", "--duplicates", "--parsable2", "--noheader", "--starttime=now-1day"]
    rows = command("sacct", *options, f"--format={','.join(fields)}").splitlines()
    found = [dict(zip(fields, row.split("|"), strict=True)) for row in rows]
    return [job for job in found if job["WorkDir"] == str(folder)]


def running(folder: Path, rule: str) -> list[str]:
    """Numbers of the folder's running jobs of a rule."""
    rows = command("squeue", "--noheader", "--states=RUNNING", "--format=%A|%Z|%k").splitlines()
    return [row.split("|")[0] for row in rows if f"|{folder}|" in row and f"rule_{rule}" in row]


def wait_for(what: Callable, process: subprocess.Popen, seconds: float = 300):
    """The first true answer; the run must live until then."""
    end = time.monotonic() + seconds
    while not (answer := what()):
        assert process.poll() is None, "the run ended too early; see `told` in its folder"
        assert time.monotonic() < end, f"waited for {seconds} s"
        time.sleep(0.5)
    return answer


def crash_the_node() -> None:
    """End slurmd and all that it started, as a power cut does; some time later slurmd says that the node booted."""
    daemon = psutil.Process(int(Path(slurm_conf("SlurmdPidFile")).read_text(encoding="utf-8")))
    steps = [process for process in psutil.process_iter(["name"]) if process.info["name"] == "slurmstepd"]
    victims = [daemon, *steps, *(child for step in steps for child in step.children(recursive=True))]
    for process in victims:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(victims, timeout=20)
    # A job younger than this (BatchStartTimeout and MessageTimeout) may not have begun, so SLURM would wait for it.
    time.sleep(25)
    subprocess.run(["setsid", "slurmd", "-b"], check=True)


def start_at_once(numbers: list[str], process: subprocess.Popen) -> None:
    """Let jobs of the crashed node begin as soon as it is back; SLURM would have them wait for two minutes."""
    waiting = ["squeue", "--noheader", "--states=PENDING", "--format=%A", f"--jobs={','.join(numbers)}"]
    wait_for(lambda: {*command(*waiting).split()} == {*numbers}, process)
    for number in numbers:
        command("scontrol", "update", f"JobId={number}", "StartTime=now")


def slurm_conf(key: str) -> str:
    return re.search(rf"^{key} *= (.*)$", command("scontrol", "show", "config"), re.MULTILINE)[1].strip()


@pytest.fixture(scope="module", autouse=True)
def beside(tmp_path_factory):
    """Start the miniature project on this machine, with the profile that Snakemake finds by itself; SLURM mostly waits."""
    folder = make_project(tmp_path_factory.mktemp("local") / "project", SHARDED)
    command = snakemake, folder, "--cores", "1"
    with ThreadPoolExecutor() as pool:
        yield folder, pool.submit(*command, workflow=["--snakefile", str(ROOT / "Snakefile")])


@pytest.fixture(scope="module")
def local(beside):
    """The same, when it is done."""
    folder, running = beside
    done = running.result()
    assert done.returncode == 0, done.stdout
    assert "profiles/default for setting default command line arguments" in done.stdout
    return folder


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """The same on SLURM: a shard runs out of memory, another is cancelled, and the node crashes."""
    folder = make_project(tmp_path_factory.mktemp("faulty") / "project", SHARDED)
    site_profile(folder)
    process = start(folder)
    try:
        victim = wait_for(lambda: running(folder, "sample_shard_wildcards_flow"), process)[0]
        command("scancel", victim)
        wait_for(lambda: [job for job in jobs(folder) if job["State"] in OUT_OF_MEMORY], process)
        # At the latest the shard that now asks for more.
        crashed = wait_for(lambda: running(folder, "sample_shard"), process)
        crash_the_node()
        start_at_once(crashed, process)
        process.wait(timeout=900)
    finally:
        stop(process)
    return folder, process.returncode, victim, crashed


def results(folder: Path) -> dict[str, bytes]:
    """Contents of every file of the results that does not tell of the run."""
    of_the_run = {"logs", "benchmarks", "provenance.json"}
    paths = [path for path in files_below(folder / "results") if not of_the_run & {*Path(path).parts}]
    return {path: (folder / "results" / path).read_bytes() for path in paths}


def stop(process: subprocess.Popen) -> None:
    """Ctrl-C, so that Snakemake cancels what it submitted."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


def test_the_run_ends_well_in_spite_of_the_faults(faulty):
    folder, status, _, _ = faulty
    assert status == 0, told(folder)


def test_every_result_is_that_of_a_local_run(faulty, local):
    """Reports, draws, figures and all else, bit for bit, but for what tells of the run and not of the data."""
    ours, theirs = results(faulty[0]), results(local)
    assert ours.keys() == theirs.keys()
    assert {f"{dataset}/{name}" for dataset in DATASETS for name in ("nlsq.json", "posterior.nc")} < ours.keys()
    assert [path for path, content in ours.items() if content != theirs[path]] == []


def test_every_rule_ran_as_a_slurm_job(faulty, local):
    """Each benchmark of the local run belongs to a step in the log of a job that sacct calls completed."""
    folder = faulty[0]
    completed = {job["JobIDRaw"] for job in jobs(folder) if job["State"] == "COMPLETED"}
    done = set()
    for log in (folder / "results/logs/slurm").rglob("*.log"):
        if log.stem in completed:
            done |= set(re.findall(r"^ +benchmark: (\S+)$", log.read_text(encoding="utf-8"), re.MULTILINE))
    expected = {f"results/{path}" for path in files_below(local / "results") if path.endswith(".tsv")}
    expected = {path for path in expected if Path(path).name.split(".")[0] not in LOCAL_RULES}
    assert len(expected) == 25
    assert done == expected


def test_the_site_is_the_one_of_the_profile(faulty):
    assert {(job["Account"], job["Partition"]) for job in jobs(faulty[0])} == {(ACCOUNT, PARTITION)}


def test_a_job_that_ran_out_of_memory_asked_for_more(faulty):
    folder = faulty[0]
    shard = [job for job in jobs(folder) if "sample_shard_wildcards_rest_0_2" in job["Comment"]]
    (first,) = (job for job in shard if job["ReqMem"] == f"{TOO_SMALL}M")
    assert first["State"] in OUT_OF_MEMORY
    (log,) = (folder / "results/logs/slurm").rglob(f"{first['JobIDRaw']}.log")
    assert "exceeded memory limit" in log.read_text(encoding="utf-8")
    assert [job["ReqMem"] for job in shard if job["State"] == "COMPLETED"] == [f"{ENOUGH}M"]


def test_a_cancelled_job_is_submitted_again(faulty):
    folder, _, victim, _ = faulty
    (cancelled,) = (job for job in jobs(folder) if job["JobIDRaw"] == victim)
    assert cancelled["State"].startswith("CANCELLED")
    again = [job for job in jobs(folder) if job["Comment"] == cancelled["Comment"] and job["State"] == "COMPLETED"]
    assert len(again) == 1


def test_jobs_of_a_crashed_node_are_started_again(faulty):
    folder, _, _, crashed = faulty
    assert crashed
    for number in crashed:
        comment, states = "", []
        for job in jobs(folder):
            if job["JobIDRaw"] == number:
                comment = job["Comment"]
                states.append(job["State"])
        assert {"NODE_FAIL", "REQUEUED"} & set(states), (number, states)
        assert [j for j in jobs(folder) if j["Comment"] == comment and j["State"] == "COMPLETED"]


def test_after_a_kill_the_same_command_cancels_what_is_left_and_finishes(tmp_path, local):
    """Snakemake is killed while its job runs; the front door cancels that job before it submits another."""
    folder = make_project(tmp_path / "killed", SHARDED)
    site_profile(folder)
    wanted = "results/rest/nlsq.json"
    first = start(folder, wanted)
    try:
        (number,) = wait_for(lambda: running(folder, "fit"), first)
        # The record is written a moment after the submission.
        wait_for(lambda: [p for p in (folder / ".snakemake/incomplete").rglob("*") if p.is_file()], first)
    finally:
        first.kill()
        first.wait()
    assert running(folder, "fit") == [number], "the job ended with Snakemake, so this test shows nothing"
    again = start(folder, wanted)
    try:
        again.wait(timeout=300)
    finally:
        stop(again)
    assert again.returncode == 0, told(folder)
    assert f"run: cancelling SLURM jobs {number} of a killed run" in told(folder)
    states = [job["State"].partition(" ")[0] for job in sorted(jobs(folder), key=lambda job: int(job["JobIDRaw"]))]
    assert states == ["CANCELLED", "COMPLETED"]
    assert (folder / wanted).read_bytes() == (local / wanted).read_bytes()
