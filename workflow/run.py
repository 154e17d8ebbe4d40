"""Front door: clear away what a killed run left behind in a project folder, then start Snakemake there.

    python workflow/run.py --directory my-project --cores 4

takes every argument of Snakemake; paths in them start at the project folder. Snakemake's lock names neither the
process that took it nor its host, and a killed Snakemake leaves its jobs behind, on this machine and in SLURM's queue.
So: a folder in which a run lives is refused with a sentence; otherwise recorded SLURM jobs are cancelled, orphans are
stopped, what they left half-written is removed, and a stale lock is opened.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

from user_yaml import read_settings

from homodyne_lib.io.files import refusal

SNAKEFILE = Path(__file__).resolve().parents[1] / "Snakefile"
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
LEFT_FOLDER = re.compile(r"\.(report|summary)\.\w{8}")
LEFT_FILE = re.compile(r"\..+\.[0-9a-f]{32}\.tmp(\..+)?")
"""Names under which the workflow writes before it renames: `replacing` of the library, write_report.py, summarise.py."""
PATIENCE = 120
"""Longest wait [s] for a cancelled SLURM job to end; sites let jobs live for 30 s or so after the first signal."""


class Refused(Exception):
    """A sentence that says why no run is started."""


def processes_in(folder: Path) -> list[tuple[psutil.Process, list[str]]]:
    """This user's processes that work in a folder, with their command lines; not this one and its parents."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in own and process.cwd() == str(folder):
                found.append((process, process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def is_snakemake(command: list[str]) -> bool:
    """Whether a command line is Snakemake's: its program, ``-m snakemake``, or as it calls itself in a job."""
    return any(re.fullmatch(r"(.*/)?snakemake(/__main__\.py)?", word) for word in command[:5])


def is_main(command: list[str]) -> bool:
    """Whether it is a run, not a job of one."""
    return is_snakemake(command) and "--mode" not in command


def is_job(command: list[str], folder: Path) -> bool:
    """Whether it is a job of a run in the folder: Python on a script that Snakemake wrote, or the Snakemake of a SLURM job.

    Another program that only reads such a script, an editor or a pager, is none.
    """
    program, script = Path(command[0]).name if command else "", next((w for w in command[1:] if w[:1] != "-"), "")
    if program.startswith("python") and (folder / script).parent == folder / ".snakemake" / "scripts":
        return True
    return is_snakemake(command) and "--mode" in command


def locks() -> list[Path]:
    """Files of Snakemake's lock on the current folder."""
    return sorted(Path(".snakemake/locks").glob("*.lock"))


def host_of_last_run() -> str | None:
    """The host that the newest log names in its head."""
    logs = sorted(Path(".snakemake/log").glob("*.snakemake.log"))
    head = logs[-1].read_text(encoding="utf-8", errors="replace") if logs else ""
    host = re.search(r"^ *Host: (\S+)", head, re.MULTILINE)
    return host[1] if host else None


def refuse_a_second_run(folder: Path) -> None:
    """Raise if a run lives in the folder, or may live where this process cannot look."""
    living = [process.pid for process, command in processes_in(folder) if is_main(command)]
    if living:
        raise Refused(f"a run is going on in {folder} (process {living[0]}); wait for its end, or stop it with Ctrl-C.")
    if not locks():
        return
    unlock = f"rm -r {locks()[0].parent.resolve()}"
    host, owner = host_of_last_run(), locks()[0].stat().st_uid
    if host not in (None, platform.node()):
        raise Refused(f"a run on {host} has locked {folder}; start again there or, if it is gone for good, {unlock}")
    if owner != os.getuid():
        raise Refused(f"user {owner} has locked {folder}; if that run is gone, it is the user who opens it: {unlock}")


def recorded_slurm_jobs() -> set[str]:
    """Job numbers that Snakemake wrote down when it submitted what has not ended since."""
    records = [path for path in Path(".snakemake/incomplete").rglob("*") if path.is_file()]
    numbers = {external_job(path) for path in records}
    return {str(number).partition("_")[0] for number in numbers if number is not None}


def external_job(record: Path) -> object:
    """Job number in one record; None where there is none, as in a record that a kill cut short."""
    try:
        content = json.loads(record.read_bytes() or b"{}")
    except ValueError:
        return None
    return content.get("external_jobid") if isinstance(content, dict) else None


def cancel_slurm_jobs(folder: Path) -> None:
    """Cancel the recorded jobs that are still in the queue and work here; come back when they have ended."""
    recorded = recorded_slurm_jobs()
    if not recorded:
        return
    if shutil.which("squeue") is None:
        say(f"SLURM jobs {', '.join(sorted(recorded))} of an earlier run cannot be cancelled here: there is no squeue.")
        return
    living = sorted(recorded & slurm_jobs_in(folder))
    if living:
        say(f"cancelling SLURM jobs {', '.join(living)} of a killed run")
        subprocess.run(["scancel", *living], check=True)
    give_up = time.monotonic() + PATIENCE
    while living:
        if time.monotonic() > give_up:
            raise Refused(f"SLURM jobs {', '.join(living)} do not end; ask `squeue` why, then start again.")
        time.sleep(1)
        living = sorted(recorded & slurm_jobs_in(folder))


def slurm_jobs_in(folder: Path) -> set[str]:
    """Numbers of this user's jobs in the queue whose working directory is the folder."""
    command = ["squeue", f"--user={os.getuid()}", "--noheader", "--format=%A|%Z"]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if answer.returncode != 0:
        raise Refused(f"jobs of a killed run may live in SLURM's queue, but squeue says: {answer.stderr.strip()}")
    jobs = dict(line.split("|", 1) for line in answer.stdout.splitlines())
    return {number for number, directory in jobs.items() if Path(directory).resolve() == folder}


def stop_orphans(folder: Path) -> None:
    """Stop jobs whose Snakemake is gone, with all that they started."""
    orphans = {process for process, command in processes_in(folder) if is_job(command, folder)}
    for process in list(orphans):
        try:
            orphans.update(process.children(recursive=True))
        except psutil.NoSuchProcess:
            continue
    for process in orphans:
        say(f"stopping process {process.pid}, a job that a killed run left behind")
    for stop in (psutil.Process.terminate, psutil.Process.kill):
        for process in orphans:
            try:
                stop(process)
            except psutil.NoSuchProcess:
                continue
        _, orphans = psutil.wait_procs(orphans, timeout=10)


def check_overlays(arguments: list[str]) -> None:
    """Read as data what Snakemake will read with code in it: files given with --configfile."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    for path in parser.parse_known_args(arguments)[0].configfile:
        try:
            settings = read_settings(path)
        except ValueError as error:
            raise Refused(str(error)) from None
        if not settings:
            raise Refused(f"{path} holds no settings; leave it out.")


def open_lock() -> None:
    """Remove a stale lock, not by Snakemake's --unlock, which reads the table first and fails on a mistake there."""
    if locks():
        say("opening the lock of a killed run")
        shutil.rmtree(locks()[0].parent)


def clear_leftovers() -> None:
    """Remove the hidden files and folders in which killed jobs were writing; nothing else there begins with a dot."""
    for path in Path("results").glob("**/.*"):
        if path.is_dir() and not path.is_symlink() and LEFT_FOLDER.fullmatch(path.name):
            shutil.rmtree(path)
        elif path.is_file() and LEFT_FILE.fullmatch(path.name):
            path.unlink()


def say(sentence: str) -> None:
    """One line on standard error, where Snakemake reports too."""
    print(f"run: {sentence}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    """Check, clear, and become Snakemake."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-d", "--directory", default=".")
    options, rest = parser.parse_known_args(arguments)
    folder = Path(options.directory).resolve()
    if not folder.is_dir():
        sys.exit(f"run: {folder} is not a folder; a project is a folder with a table in config/.")
    # Snakemake names SLURM's working directory and log files after the folder in which it starts.
    os.chdir(folder)
    # Rules call the programs of this environment by name.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    try:
        check_overlays(rest)
        refuse_a_second_run(folder)
        cancel_slurm_jobs(folder)
        stop_orphans(folder)
        open_lock()
        clear_leftovers()
    except Refused as sentence:
        sys.exit(f"run: {sentence}")
    except OSError as error:
        if not (reason := refusal(error, Path(error.filename or folder).absolute().parent)):
            raise
        sys.exit(f"run: what a killed run left cannot be removed: {reason}")
    sys.stderr.flush()
    os.execv(sys.executable, [*SNAKEMAKE, "--rerun-incomplete", *rest])


if __name__ == "__main__":
    main(sys.argv[1:])
