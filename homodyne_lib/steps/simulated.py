"""A record of a simulation of speckles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from homodyne_lib.io.bin_selection import crossed_bins
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.model.model import Model
from homodyne_lib.simulation import simulate_speckle_c2

__all__ = ["simulated"]


def simulated(
    parameters: Mapping[str, float],
    phi,
    *,
    analysis_mode: str,
    q: float | Sequence[float],
    dt: float,
    n_frames: int,
    pixels: int,
    modes: int,
    counts: float | None,
    seed: int,
    stator_rotor_gap: float | None = None,
    shear_convention: str = "spec",
    source: str = "simulation",
    progress: Callable[[str], None] = lambda text: None,
) -> Correlations:
    """Simulate a measurement; the diagonal is as measured, and the noise is not yet estimated.

    Parameters
    ----------
    parameters : mapping of str to float
        As :meth:`~homodyne_lib.model.model.Model.of_truth` takes them [units of the parameter table].
    phi : array_like, shape (n_phi,)
        The same at every q [deg].
    analysis_mode : str
    q : float or sequence of float
        [1/Å]
    dt, n_frames, pixels, modes, counts, seed, stator_rotor_gap, shear_convention, progress
        As :func:`~homodyne_lib.simulation.simulate_speckle_c2` takes them.
    source : str
        What the record says it comes from.

    Returns
    -------
    Correlations

    Raises
    ------
    ValueError
        If a parameter is missing, an angle is there twice, a count is not positive, or the gap is missing.
    """
    model = Model.of_truth(parameters, analysis_mode, shear_convention)
    bins = crossed_bins(phi, q)
    c2 = simulate_speckle_c2(
        model.vector(parameters),
        bins.phi,
        q=bins.q,
        dt=dt,
        n_frames=n_frames,
        pixels=pixels,
        modes=modes,
        counts=counts,
        seed=seed,
        stator_rotor_gap=stator_rotor_gap,
        shear_convention=shear_convention,
        has_power=model.q_exponent is None,
        progress=progress,
    )
    return Correlations(
        c2=c2,
        raw_diagonal=np.diagonal(c2, axis1=1, axis2=2).copy(),
        phi=bins.phi,
        q=bins.q,
        dt=dt,
        frames=np.arange(1, n_frames + 1),
        stator_rotor_gap=stator_rotor_gap,
        sigma=None,
        source=source,
        source_sha256="",
    )
