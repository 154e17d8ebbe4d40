"""Read one row's measurement from its file, estimate the noise, and write the canonical record."""

import script_support

from dataclasses import replace

from job_log import RESULT

from homodyne_lib.io.bin_selection import parse_phi_ranges
from homodyne_lib.io.canonical_file import write_correlations
from homodyne_lib.io.frame_selection import parse_bad_frames
from homodyne_lib.steps.ingested import ingested


def ingest(path_to_data, path_to_output, row, notes, progress):
    """Read, check, estimate the noise, write; ``notes`` are what the plan found in the row."""
    record = ingested(
        path_to_data,
        format=row["format"],
        wavevector_q=row["wavevector_q"],
        q_tolerance=row["q_tolerance"],
        phi_ranges=parse_phi_ranges(row["phi_ranges"]),
        dt=row["dt"],
        start_frame=row["start_frame"],
        end_frame=row["end_frame"],
        bad_frames=parse_bad_frames(row["bad_frames"]),
        stator_rotor_gap=row.get("stator_rotor_gap"),
    )
    record = replace(record, notes=(*record.notes, *notes))
    n_phi, n_frames, _ = record.c2.shape
    progress(f"{RESULT}{n_phi} angles × {n_frames} frames at q = {record.q:.5g} 1/Å from {record.source}")
    for note in record.notes:
        progress(f"Note: {note}")
    write_correlations(path_to_output, record)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: ingest(
        job.input.get("data") or job.params.row["path"], job.output[0], job.params.row, job.params.notes, log
    ),
)
