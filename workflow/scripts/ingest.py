"""Read one row's measurement from its file, estimate the noise, and write the canonical record."""

import script_support

from dataclasses import replace

from job_log import RESULT
from row_files import paths_of

from homodyne_lib.io.bin_selection import parse_phi_ranges
from homodyne_lib.io.canonical_file import write_correlations
from homodyne_lib.io.correlations import q_in_words
from homodyne_lib.io.frame_selection import parse_bad_frames
from homodyne_lib.io.wavevectors import parse_wavevectors
from homodyne_lib.steps.ingested import ingested


def ingest(paths_to_data, path_to_output, row, notes, progress):
    """Read, check, estimate the noise, write; ``notes`` are what the plan found in the row."""
    record = ingested(
        paths_to_data,
        format=row["format"],
        wavevector_q=parse_wavevectors(row["wavevector_q"]),
        q_tolerance=row["q_tolerance"],
        phi_ranges=parse_phi_ranges(row["phi_ranges"]),
        dt=row["dt"],
        start_frame=row["start_frame"],
        end_frame=row["end_frame"],
        bad_frames=parse_bad_frames(row["bad_frames"]),
        stator_rotor_gap=row.get("stator_rotor_gap"),
    )
    record = replace(record, notes=(*record.notes, *notes))
    n_frames = len(record.frames)
    progress(f"{RESULT}{record.bins.in_words} × {n_frames} frames at {q_in_words(record.bins)} from {record.source}")
    for note in record.notes:
        progress(f"Note: {note}")
    write_correlations(path_to_output, record)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: ingest(
        list(job.input.get("data", [])) or paths_of(job.params.row),
        job.output[0],
        job.params.row,
        job.params.notes,
        log,
    ),
)
