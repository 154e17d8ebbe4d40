"""Say what a two-time file holds, without an analysis, and write the rows of the table that would analyse it.

    python workflow/inspect_file.py --directory my-project run.h5

The terminal gets a table; results/NAME.inspect.html has it too, with a thumbnail of c2 for each bin.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

from script_support import is_told

from page import render
from report_text.tables import figure_block, markdown_table
from report_text.wording import escape, grouped
from schemas import schema
from tables import check_name

from homodyne_lib.figures.comparison import shrink, with_gaps
from homodyne_lib.figures.data_figures import matrix_thumbnails
from homodyne_lib.io.bin_selection import SAME_Q, normalise_phi, q_rings, sectors
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.files import refusal, write_text
from homodyne_lib.io.formats.catalogue import Catalogue
from homodyne_lib.io.formats.registry import open_catalogue
from homodyne_lib.io.reader import read_two_time
from homodyne_lib.model.frames import pairs_at_lag
from homodyne_lib.model.plurals import plural
from homodyne_lib.prepare.entry_noise import estimate_sigma

_SIDE = 60  # entries of a thumbnail
_TOLERANCE = schema("datasets")["properties"]["q_tolerance"]["default"]
_FINER = (1.0, 0.5, 0.25, 0.1)  # shares of it, for files whose rings are closer to each other
_LONGEST = 90  # letters of a file's name in that of a dataset, which gets an ending and has a limit of its own
_COLUMNS = ("q [1/Å]", "frames", "pixels a bin", "photons a pixel and frame", "φ [deg]")


@dataclass(frozen=True)
class Ring:
    """Bins of one q, as an analysis would read them.

    Attributes
    ----------
    q : float or None
        [1/Å]; None where the file does not state it.
    tolerance : float
        Largest relative distance of a bin from it.
    record : Correlations or None
        None where it cannot be analysed.
    fault : str
        Why it cannot.
    """

    q: float | None
    tolerance: float
    record: Correlations | None
    fault: str = ""

    @property
    def q_text(self) -> str:
        """Its q, or an empty text."""
        return "" if self.q is None else f"{self.q:g}"


def read_rings(path: Path, catalogue: Catalogue, dt: float) -> list[Ring]:
    """Read every ring of q of a file."""
    if catalogue.q is None:
        # Any wavevector reads it; the user knows the right one.
        return [replace(read_ring(path, 1.0, _TOLERANCE, dt), q=None)]
    rings, step = [], ring_tolerance(catalogue)
    for bins in q_rings(catalogue.q, step):
        q = float(f"{catalogue.q[bins].mean():.4g}")
        # The mean is rounded for the table, so the farthest bin may need a little more than its distance.
        tolerance = max(step, float(f"{1.01 * np.max(np.abs(catalogue.q[bins] - q)) / q:.2g}"))
        rings.append(read_ring(path, q, tolerance, dt))
    return rings


def ring_tolerance(catalogue: Catalogue) -> float:
    """Step of q within a ring: the usual one, or a finer one where by that a ring would have two q at one angle."""
    undirected = catalogue.undirected
    told = slice(None) if undirected is None or undirected.all() else ~undirected
    q, sector = catalogue.q[told], sectors(normalise_phi(catalogue.phi[told]))

    def has_two_q(bins):
        order = bins[np.lexsort((q[bins], sector[bins]))]
        return np.any((np.diff(sector[order]) == 0) & (np.diff(q[order]) > SAME_Q * q[order[1:]]))

    steps = [share * _TOLERANCE for share in _FINER]
    return next((step for step in steps if not any(map(has_two_q, q_rings(q, step)))), _TOLERANCE)


def read_ring(path: Path, q: float, tolerance: float, dt: float) -> Ring:
    """Read one ring as an analysis would, its noise too, or the sentence that says why it cannot be analysed."""
    try:
        record = read_two_time(path, wavevector_q=q, q_tolerance=tolerance, dt=dt)
        estimate_sigma(record.c2, record.frames, record.bins.named)
        return Ring(q, tolerance, record)
    except ValueError as error:
        if not is_told(error):
            raise
        return Ring(q, tolerance, None, str(error).removeprefix(f"{path}: "))


def _span(values: np.ndarray, digits: str = ".4g") -> str:
    """One number, or the least and the largest."""
    low, high = np.min(values), np.max(values)
    return f"{low:{digits}}" if f"{low:{digits}}" == f"{high:{digits}}" else f"{low:{digits}} … {high:{digits}}"


def photons(record: Correlations) -> str:
    """Photons a pixel and frame, from the height of the diagonal above its neighbours, which is one over them."""
    i, j = pairs_at_lag(record.offsets, 1)
    beside = record.c2[:, i, j].mean(axis=1)
    height = record.raw_diagonal.mean(axis=1) - beside
    return _span(1.0 / height, ".2g") if np.all(height > 1e-3 * beside) else "the diagonal does not tell"


def cells(ring: Ring) -> list[str]:
    """A row of the table of rings."""
    record = ring.record
    pixels = "–" if record.pixels is None else _span(record.pixels, "d")
    angles = ", ".join(f"{phi:.4g}" for phi in record.phi)
    return [ring.q_text or "–", str(len(record.frames)), pixels, photons(record), angles]


def aligned(rows: list[list[str]]) -> str:
    """Rows as lines of columns of one width each."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n" + "\n".join(f"  {line.rstrip()}" for line in lines) + "\n"


def dataset_name(stem: str, ending: str) -> str:
    """A name that the table of datasets takes, made of that of a file."""
    stem = re.sub(r"[^A-Za-z0-9]+", "_", stem)[:_LONGEST].strip("_") or "data"
    try:
        check_name(f"{stem}{ending}", "", ())
    except ValueError:  # a folder of the workflow, or letters that repeat themselves
        stem += "_data"
    return f"{stem}{ending}"


def table_rows(path: Path, rings: list[Ring], dt: float | None) -> list[dict[str, str]]:
    """Rows for the table of datasets, a ring each."""
    config = Path("config").resolve()
    file = path.resolve()
    rows = []
    for number, ring in enumerate(rings, start=1):
        row = {
            "dataset": dataset_name(path.stem, "" if len(rings) == 1 else f"_q{number}"),
            "file": os.path.relpath(file, config) if file.is_relative_to(Path.cwd()) else str(file),
            "analysis_mode": "static",
            "wavevector_q": ring.q_text,
            "q_tolerance": f"{ring.tolerance:g}" if any(other.tolerance != _TOLERANCE for other in rings) else "",
            "dt": "" if dt is None else f"{dt:.10g}",
        }
        rows.append({name: cell for name, cell in row.items() if cell or name in ("wavevector_q", "dt")})
    return rows


def describe(path: Path, catalogue: Catalogue, rings: list[Ring]) -> list[str]:
    """Sentences on the file as a whole."""
    bins = plural(len(catalogue.matrices), "bin")
    lines = [f"Layout {catalogue.layout}, {bins} in {plural(len(rings), 'ring')} of q."]
    if catalogue.q is None:
        lines.append("The file states no wavevector; fill in wavevector_q [1/Å].")
    if catalogue.frame_time is None:
        lines.append("The file states no time between frames; fill in dt [s].")
    else:
        lines.append(
            f"Time between frames, with stride and averaging: {catalogue.frame_time:.10g} s, as the file states."
        )
    lines += [f"{name}: {value}" for name, value in catalogue.stated.items()]
    if catalogue.sample.in_words:
        lines.append(f"Of the sample the results will state: {catalogue.sample.in_words}.")
    # Without a wavevector in the file the note says which one was used, and here it was any.
    notes = [note for ring in rings if ring.record and ring.q for note in ring.record.notes]
    faults = [f"q = {ring.q_text} 1/Å cannot be analysed: {ring.fault}" for ring in rings if ring.fault]
    return [*lines, *dict.fromkeys(f"Note: {note}" for note in notes), *faults]


def page(path: Path, sentences: list[str], rings: list[Ring], rows: str, dt: float | None) -> str:
    """The same as a page, with thumbnails."""
    parts = [f"# {escape(path.name)}", "\n".join(f"- {escape(sentence)}" for sentence in sentences)]
    good = [ring for ring in rings if ring.record]
    if good:
        parts.append(markdown_table(list(_COLUMNS), [[escape(cell) for cell in cells(ring)] for ring in good]))
        parts.append(f"## Rows for the table of datasets\n\n```\n{rows}```")
    with tempfile.TemporaryDirectory() as folder:
        for number, ring in enumerate(good):
            record = ring.record
            span = int(record.offsets[-1]) + 1
            whole = [with_gaps(matrix.astype(float), record.offsets) for matrix in record.c2]
            maps = np.array([shrink(matrix, -(-span // _SIDE)) for matrix in whole])
            duration, unit = ((span - 1) * dt, "s") if dt else (span - 1, "frames")
            drawn = matrix_thumbnails(maps, record.phi, duration, unit)
            at = f" at q = {ring.q:g} 1/Å" if ring.q else ""
            caption = f"c2{at}, a panel an angle; {grouped(len(record.frames))} frames."
            parts.append(figure_block(drawn, folder, f"ring-{number}", caption, caption, vectors=False))
        return render("\n\n".join(parts), path.name, folder)


def why_not(error: OSError | ValueError) -> str:
    """The sentence on a page that cannot be written; an error of another kind is raised again."""
    if is_told(error):
        return str(error)
    if not isinstance(error, OSError):
        raise error
    reason = refusal(error, Path(error.filename or "results").absolute().parent)
    return reason or f"{error.strerror}; rename the file, or name another project with DIR=my-project."


def main(arguments: list[str]) -> None:
    """Look, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-d", "--directory", default=".", help="project folder")
    parser.add_argument("file", help="two-time file; a relative path starts where the command is given")
    options = parser.parse_args(arguments)
    path = Path(os.path.abspath(options.file))
    folder = Path(options.directory).resolve()
    if not options.file or not folder.is_dir():
        fault = f"{folder} is not a folder" if options.file else "no file is named"
        sys.exit(f"inspect: {fault}; say make inspect FILE=run.h5, and DIR=my-project for another project.")
    os.chdir(folder)
    try:
        with open_catalogue(path, "auto") as catalogue:
            dt = catalogue.frame_time
            rings = read_rings(path, catalogue, dt or 1.0)
            sentences = describe(path, catalogue, rings)
    except ValueError as error:
        if not is_told(error):
            raise
        sys.exit(f"inspect: {error}")
    good = [ring for ring in rings if ring.record]
    filled = table_rows(path, good, dt)
    rows = "".join("\t".join(line) + "\n" for line in ([*filled[0]], *(row.values() for row in filled))) if good else ""
    print(path.name, *(f"  {sentence}" for sentence in sentences), sep="\n")
    if good:
        print(aligned([list(_COLUMNS), *map(cells, good)]))
        print("For config/datasets.tsv (with a flow: laminar_flow, and a column stator_rotor_gap [Å]):", rows, sep="\n")
    if len(good) > 1:
        every = ",".join(ring.q_text for ring in good)
        print(f"To fit all q together, write them in one row: {every} in wavevector_q.\n")
    target = Path("results", f"{path.name}.inspect.html")
    try:
        target.parent.mkdir(exist_ok=True)
        write_text(target, page(path, sentences, rings, rows, dt))
    except (OSError, ValueError) as error:
        sys.exit(f"inspect: there is no page with thumbnails: {why_not(error)}")
    print(f"Thumbnails: {target.resolve()}")
    if not good:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
