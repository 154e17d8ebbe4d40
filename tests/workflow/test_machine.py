"""What a user's machine must not change: settings and modules of theirs, an unusable home, a disk that is full or closed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from workflow_support import ROOT, RUN, call, make_project

from homodyne_lib.io.files import check_writable, refusal, replacing
from homodyne_lib.io.hdf5 import open_hdf5
from homodyne_lib.io.hdf5_writing import create_hdf5, write_dataset

SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
SCRIPTS = ROOT / "workflow" / "scripts"


def python(code: str, *arguments, cwd: Path, **variables) -> subprocess.CompletedProcess:
    """Run Python with the scripts' folder on the path, as Snakemake runs a script."""
    start = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n"
    return call([sys.executable, "-c", start + code, *map(str, arguments)], cwd, cwd, **variables)


# ---------------------------------------------------------------- settings and modules

DRAW = """
import script_support
import hashlib
from figure_files import save
from homodyne_lib.figures import style

@style.styled
def draw():
    figure = style.new_figure(3, 2)
    axes = figure.add_subplot()
    axes.plot([0, 1], [1, 3], label="$x_0$")
    axes.set_xlabel("t [s]")
    axes.legend()
    return figure

save(draw(), "a")
print(*(hashlib.sha256(open(f"a.{end}", "rb").read()).hexdigest() for end in ("png", "pdf")))
"""
STYLE = "axes.grid: True\nfont.family: serif\nfigure.dpi: 30\nxtick.direction: in\ntext.usetex: True\n"


def test_figures_are_the_same_whatever_the_users_style(tmp_path):
    """By a folder of settings, by a variable, and by a file in the project, which Matplotlib prefers to both."""
    found = {}
    for where in ("nowhere", "home", "variable", "project"):
        folder = tmp_path / where
        (folder / "config" / "matplotlib").mkdir(parents=True)
        place = {"home": "config/matplotlib/matplotlibrc", "variable": "elsewhere", "project": "matplotlibrc"}
        if where != "nowhere":
            (folder / place[where]).write_text(STYLE, encoding="utf-8")
        variables = {"XDG_CONFIG_HOME": str(folder / "config")}
        if where == "variable":
            variables["MATPLOTLIBRC"] = str(folder / "elsewhere")
        drawn = python(DRAW, cwd=folder, **variables)
        assert drawn.returncode == 0, drawn.stdout
        found[where] = drawn.stdout
    assert len(set(found.values())) == 1, found


def test_a_session_with_other_settings_draws_the_same(tmp_path):
    """In a process of a user of the library, without scripts."""
    plain = DRAW.replace("import script_support\n", f"sys.path.insert(0, {str(ROOT)!r})\n")
    changed = plain.replace("import hashlib", "import matplotlib, hashlib; matplotlib.rcParams['axes.grid'] = True")
    assert python(plain, cwd=tmp_path).stdout == python(changed, cwd=tmp_path).stdout != ""


def test_modules_of_the_user_are_not_imported(tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "yaml.py").write_text("raise SystemExit('the user's')", encoding="utf-8")
    (tmp_path / "start.py").write_text("raise SystemExit('the user's')", encoding="utf-8")
    variables = {"PYTHONPATH": str(tmp_path / "modules"), "PYTHONSTARTUP": str(tmp_path / "start.py")}
    code = (
        "import script_support, yaml, os\nprint(yaml.__file__, [name in os.environ for name in script_support.FOREIGN])"
    )
    told = python(code, cwd=tmp_path, **variables)
    assert told.returncode == 0, told.stdout
    assert "site-packages" in told.stdout
    assert "True" not in told.stdout


NOTEBOOK = """
import script_support
import json, nbformat
from pathlib import Path
from write_report import run_notebook

cell = "import sys, os, IPython; print(sys.executable, IPython.get_ipython().profile, 'startup' in globals())"
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
book.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
nbformat.write(book, "asked.ipynb")
folder = Path("work").resolve()
folder.mkdir()
print(run_notebook("asked.ipynb", folder, {}).cells[-1]["outputs"][0]["text"])
"""


def test_the_kernel_is_this_interpreter_and_has_no_startup_of_the_user(tmp_path):
    """A kernel of the same name that is another program, in each place where Jupyter looks, and startup files."""
    other = {"argv": ["false", "-f", "{connection_file}"], "display_name": "Python 3", "language": "python"}
    for place in ("path", "data/jupyter", "own"):
        folder = tmp_path / place / "kernels" / "python3"
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(other), encoding="utf-8")
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    for file in (startup / "a.py", tmp_path / "start.py"):
        file.write_text("startup = True", encoding="utf-8")
    ran = python(
        NOTEBOOK,
        cwd=tmp_path,
        JUPYTER_PATH=str(tmp_path / "path"),
        JUPYTER_DATA_DIR=str(tmp_path / "own"),
        XDG_DATA_HOME=str(tmp_path / "data"),
        IPYTHONDIR=str(tmp_path / "ipython"),
        PYTHONSTARTUP=str(tmp_path / "start.py"),
    )
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.split()[-3:] == [sys.executable, "default", "False"]


def test_an_unusable_home_stops_nothing(tmp_path):
    """The first stages, on a plain call of Snakemake, without any folder of the user."""
    folder = make_project(tmp_path / "project")
    nowhere = {"HOME": "/dev/null/me", "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "TMPDIR": "/dev/null/tmp"}
    done = call([*SNAKEMAKE, "--cores", "1", "results/rest/scaling.json"], folder, tmp_path, **nowhere)
    assert done.returncode == 0, done.stdout
    assert (folder / "results/rest/scaling.json").exists()


# ---------------------------------------------------------------- a disk that refuses

WORDS = "c cannot be written: no space is left on the disk (folder {}); make room there, then start again."


def test_a_full_disk_is_told_and_nothing_stays(tmp_path):
    """The device that is always full, in the place of the temporary file."""
    (tmp_path / "c").write_text("old", encoding="utf-8")
    with pytest.raises(ValueError) as told, replacing(tmp_path / "c") as temporary:
        temporary.symlink_to("/dev/full")
        temporary.write_text("new", encoding="utf-8")
    assert str(told.value) == WORDS.format(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["c"]
    assert (tmp_path / "c").read_text(encoding="utf-8") == "old"


def test_what_is_not_about_writing_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "c"):
        (tmp_path / "nowhere").read_text()
    with pytest.raises(RuntimeError, match="physics"), replacing(tmp_path / "c"):
        raise RuntimeError("physics")
    reading = PermissionError(errno.EACCES, "Permission denied", "/data/input.h5")
    with pytest.raises(PermissionError), replacing(tmp_path / "c"):
        raise reading
    # A folder that can be written to is not what refused.
    assert refusal(reading, tmp_path) is None


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EDQUOT, "quota"), (errno.EROFS, "read-only"), (errno.EIO, "input/output error"), (errno.EFBIG, "ulimit")],
)
def test_every_reason_has_its_words(tmp_path, number, words):
    assert words in refusal(OSError(number, ""), tmp_path)
    # As HDF5 and the kernel of a notebook tell it.
    assert words in refusal(RuntimeError(f"Can't flush (file write failed: errno = {number}, ...)"), tmp_path)
    assert words in refusal(ValueError(f"OSError: [Errno {number}] words"), tmp_path)
    assert str(tmp_path) in refusal(OSError(number, ""), tmp_path)


LARGE = """
import script_support
import numpy as np, resource, sys
from homodyne_lib.io.hdf5_writing import create_hdf5, write_dataset

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with create_hdf5("c.h5") as file:
        for name in "abc":
            write_dataset(file, name, np.random.default_rng(0).random(60_000), chunks=(1000,), compression="gzip")
except ValueError as error:
    print("told:", error)
"""


def test_hdf5_survives_a_disk_that_refuses(tmp_path):
    """A limit on the size of files stands for a full disk: HDF5 can neither flush nor close such a file, and crashes."""
    ran = python(LARGE, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.startswith("told: c.h5 cannot be written: the file is larger than the system allows")
    assert ran.stdout.count("\n") == 1, "HDF5 has its say on the terminal"
    assert list(tmp_path.glob("*c.h5*")) == [], "half a file"


def test_a_file_that_fits_is_whole(tmp_path):
    numbers = np.random.default_rng(0).random(10_000)
    for name in ("a.h5", "b.h5"):
        with create_hdf5(tmp_path / name) as file:
            write_dataset(file, "x", numbers, chunks=(500,), compression="gzip")
    with open_hdf5(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["x"][()], numbers)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def can_mount() -> bool:
    """Whether this machine lets us make a small disk of our own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False).returncode == 0


# On a user's machine such tests may have to be left out, but never where the repository is checked.
needs_mounts = pytest.mark.skipif(
    "CI" not in os.environ and not can_mount(), reason="needs Linux that lets users mount"
)


def mounted(mount: str, place: Path, command: list, folder: Path) -> subprocess.CompletedProcess:
    """Call a command in a folder after a mount, of which nobody else knows, on ``place``, ``$0`` in it."""
    shell = ["unshare", "-rm", "sh", "-c", f'{mount} && cd "$PWD" && exec "$@"', place]
    return call([*shell, *command], folder, folder.parent)


@needs_mounts
@pytest.mark.parametrize("size", ["16k", "60k"])
def test_a_run_on_a_full_disk_ends_in_sentences(tmp_path, size):
    """Full at once, where no log can be written, and full within ingest."""
    folder = make_project(tmp_path / "project")
    (folder / "results").mkdir()
    mount = f'mount -t tmpfs -o size={size} tmpfs "$0"'
    done = mounted(mount, folder / "results", [*SNAKEMAKE, "--cores", "1", "results/rest/c2.h5"], folder)
    assert done.returncode == 1
    assert f"no space is left on the disk (folder {folder / 'results' / 'rest'}); make room" in done.stdout, done.stdout
    assert "Traceback" not in done.stdout
    assert "SIGSEGV" not in done.stdout


READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"'


@needs_mounts
@pytest.mark.parametrize("place", [".", "results", ".snakemake"])
def test_a_project_that_cannot_be_written_is_told_in_a_sentence(tmp_path, place):
    """By the front door, which becomes Snakemake."""
    folder = make_project(tmp_path / "project")
    if place != ".":
        (folder / place).mkdir()
    done = mounted(READ_ONLY, folder / place, [*RUN, "--cores", "1"], folder)
    assert done.returncode == 1
    refused = folder / (".snakemake" if place == "." else place)
    sentence = (
        f"{refused} cannot be written: the disk is mounted read-only (folder {folder / place}); work in a folder "
    )
    assert done.stdout.splitlines()[-1].startswith(sentence), done.stdout
    assert "Traceback" not in done.stdout


@needs_mounts
def test_what_a_kill_left_on_a_disk_that_is_read_only_by_now_is_told(tmp_path):
    folder = make_project(tmp_path / "project")
    lock = folder / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/a", encoding="utf-8")
    done = mounted(READ_ONLY, folder, [*RUN, "--cores", "1"], folder)
    assert (done.returncode, done.stdout.count("\n")) == (1, 2)
    assert "run: what a killed run left cannot be removed: the disk is mounted read-only" in done.stdout


@needs_mounts
def test_a_plan_that_cannot_be_written_down_is_a_plan(tmp_path):
    folder = make_project(tmp_path / "project")
    notes = folder / ".snakemake/homodyne"
    notes.mkdir(parents=True)
    done = mounted(READ_ONLY, notes, [*SNAKEMAKE, "--dry-run"], folder)
    assert done.returncode == 0, done.stdout
    assert list(notes.iterdir()) == []


def test_a_folder_without_the_right_to_write_is_told(tmp_path, monkeypatch):
    check_writable(tmp_path / "not/yet/there")
    assert list(tmp_path.iterdir()) == []

    def refuse(dir):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(dir))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(ValueError, match=rf"{tmp_path}/not cannot be written: .*read-only \(folder {tmp_path}\)"):
        check_writable(tmp_path / "not")
