"""Data and model of a fit, ready to be summed; fits and samplers start from here."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from homodyne_lib.bands import Band, Experiment, make_band
from homodyne_lib.data import Correlations, RowBand
from homodyne_lib.layouts import numpy_mesh
from homodyne_lib.node_sums import NodeSums, make_nodes
from homodyne_lib.normal_equations import NormalEquations, normal_equations, solve_scaling
from homodyne_lib.pair_sums import gram, projections, scaling_sums
from homodyne_lib.per_angle import PerAngleScaling
from homodyne_lib.physics import parameter_names
from homodyne_lib.physics_factors import PhysicsFactors

__all__ = ["Problem", "make_problem"]


@dataclass(frozen=True, eq=False)
class Problem:
    """Data and model of a fit, ready to be summed.

    Attributes
    ----------
    band : Band
    experiment : Experiment
    weight : ndarray, shape (n_phi,)
        1/σ² of each angle.
    scaling : PerAngleScaling
    names : list of str
        Physical parameters, in order.
    convention : str
        Shear convention.
    """

    band: Band
    experiment: Experiment
    weight: np.ndarray
    scaling: PerAngleScaling
    names: list[str]
    convention: str

    @property
    def n_points(self) -> int:
        """Pairs of frames above the diagonal, over all angles."""
        return int(self.band.y_moments[:, 0].sum())

    def normal_equations(self, params) -> NormalEquations:
        """One pass over the data at physical parameters [units of the parameter table]."""
        sums = gram(params, self.experiment, self.band, self.convention)
        return normal_equations(sums, self.band.y_moments, self.weight, self.band.centre, self.scaling)

    def projections(self, params) -> np.ndarray:
        """One pass at physical parameters: products of [∂u/∂θ, u, 1, y] with u, 1 and y, (n_phi, p + 3, 3)."""
        return projections(params, self.experiment, self.band, self.convention)

    def nodes(self, fineness: int) -> NodeSums:
        """Nodes whose sums are close to those of a pass, the closer the finer."""
        return make_nodes(self.band, self.experiment, self.convention, fineness)

    def cost(self, params) -> float:
        """χ² at physical parameters with the best scaling for them; infinite where it is not a number."""
        sums = scaling_sums(self.projections(params))
        chi2 = solve_scaling(sums, self.band.y_moments, self.weight, self.band.centre, self.scaling)[2]
        return chi2 if np.isfinite(chi2) else np.inf

    def sample(self, n_pixels: int) -> Problem:
        """Evenly spaced rows of the same data, about as many as make up ``n_pixels``: every lag, every age, every angle."""
        stride = max(1, self.n_points // n_pixels)
        if stride == 1:
            return self
        rows = slice(stride // 2, None, stride)
        return replace(
            self, band=make_band(self.band.c2[:, rows][:, : self.band.frames[rows].size], self.band.frames[rows])
        )


def make_problem(
    record: Correlations | RowBand, scaling: PerAngleScaling, analysis_mode: str, convention: str = "spec"
) -> Problem:
    """Collect data, geometry and model of a fit.

    Parameters
    ----------
    record : Correlations or RowBand
        All rows of c2, or a band of them.
    scaling : PerAngleScaling
    analysis_mode : str
    convention : {"spec", "published"}

    Returns
    -------
    Problem

    Raises
    ------
    ValueError
        For a wrong σ, a missing gap, entries that are no numbers, or fewer points than free parameters.
    """
    sigma = np.zeros(0) if record.sigma is None else np.asarray(record.sigma, dtype=float)
    names, gap = parameter_names(analysis_mode), record.stator_rotor_gap
    if sigma.shape != np.shape(record.phi) or not np.all(np.isfinite(sigma) & (sigma > 0)):
        raise ValueError(
            f"sigma {sigma.tolist()} must be positive, one number for each of {np.size(record.phi)} angles."
        )
    laminar = "gamma_dot_t0" in names
    if laminar and gap is None:
        raise ValueError(
            "laminar_flow needs stator_rotor_gap [Å], the distance between stator and rotor; none was given."
        )
    band = make_band(record.c2, getattr(record, "rows", None))
    layout = numpy_mesh(record.c2.shape[2], record.phi, record.dt)
    # Without flow the gap does not enter; 1 Å only satisfies the positivity check.
    factors = PhysicsFactors.from_config(record.q, gap if laminar else 1.0, record.dt, validate=False)
    wq_dt, sinc_prefactor = factors.to_tuple()
    experiment = Experiment(layout.time, layout.phi.ravel(), wq_dt, sinc_prefactor if laminar else 0.0)
    problem = Problem(band, experiment, sigma**-2.0, scaling, names, convention)
    n_free = len(names) + scaling.n_parameters
    if problem.n_points <= n_free:
        raise ValueError(
            f"{problem.n_points} points above the diagonal cannot fix {n_free} parameters; use more frames."
        )
    return problem
