"""Simulate speckle movies with known truth; c2 is written in the APS layout with the truth as attributes."""

import numpy as np
import script_support
from tables import read_simulation

from homodyne_lib.aps_formats import write_aps_legacy
from homodyne_lib.data import Correlations
from homodyne_lib.physics import parameter_names
from homodyne_lib.selection import normalise_phi
from homodyne_lib.simulation import simulate_speckle_c2


def simulate(path_to_plan, path_to_output, row, shear_convention, source, progress):
    """Simulate the measurement of a row of the table."""
    names = parameter_names(row["analysis_mode"])
    plan = read_simulation(path_to_plan, names)
    params = [plan["parameters"][name] for name in names]
    phi = np.sort(normalise_phi(np.array(plan["phi"], dtype=float)))
    gap = row.get("stator_rotor_gap")
    c2 = simulate_speckle_c2(
        params,
        phi,
        q=row["wavevector_q"],
        dt=row["dt"],
        stator_rotor_gap=gap,
        shear_convention=shear_convention,
        counts=plan.get("counts"),
        progress=progress,
        **{key: plan[key] for key in ("n_frames", "pixels", "modes", "seed")},
    )
    record = Correlations(
        c2=c2,
        raw_diagonal=np.diagonal(c2, axis1=1, axis2=2).copy(),
        phi=phi,
        q=row["wavevector_q"],
        dt=row["dt"],
        frames=np.arange(1, plan["n_frames"] + 1),
        stator_rotor_gap=gap,
        sigma=None,
        source=source,
        source_sha256="",
    )
    truth = {**plan["parameters"], **{key: plan[key] for key in ("pixels", "modes", "seed")}}
    truth |= {"contrast": 1.0 / plan["modes"], "offset": 1.0, "shear_convention": shear_convention}
    if "counts" in plan:
        truth["counts"] = plan["counts"]
    write_aps_legacy(path_to_output, record, attributes=truth)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: simulate(
        job.params.row["path"], job.output[0], job.params.row, job.params.shear_convention, job.params.row["file"], log
    ),
)
