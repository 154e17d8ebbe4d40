"""Simulate speckle movies with known truth; c2 is written in the APS layout with the truth as attributes."""

import script_support

from row_files import files_of, paths_of
from tables import read_simulation

from homodyne_lib.io.formats.aps_legacy import write_aps_legacy
from homodyne_lib.io.wavevectors import numbers_of, parse_wavevectors
from homodyne_lib.steps.simulated import simulated


def simulate(path_to_plan, path_to_output, row, shear_convention, source, progress):
    """Simulate the measurement of a row of the table."""
    plan = read_simulation(path_to_plan, row["analysis_mode"])
    record = simulated(
        plan["parameters"],
        plan["phi"],
        analysis_mode=row["analysis_mode"],
        q=numbers_of(parse_wavevectors(row["wavevector_q"])),
        dt=row["dt"],
        stator_rotor_gap=row.get("stator_rotor_gap"),
        shear_convention=shear_convention,
        counts=plan.get("counts"),
        source=source,
        progress=progress,
        **{key: plan[key] for key in ("n_frames", "pixels", "modes", "seed")},
    )
    truth = {**plan["parameters"], **{key: plan[key] for key in ("pixels", "modes", "seed")}}
    truth |= {"contrast": 1.0 / plan["modes"], "offset": 1.0, "shear_convention": shear_convention}
    if "counts" in plan:
        truth["counts"] = plan["counts"]
    write_aps_legacy(path_to_output, record, attributes=truth)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: simulate(
        paths_of(job.params.row)[int(job.params.number)],
        job.output[0],
        job.params.row,
        job.params.shear_convention,
        files_of(job.params.row)[int(job.params.number)],
        log,
    ),
)
