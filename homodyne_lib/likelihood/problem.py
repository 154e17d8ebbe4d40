"""Data and model of a fit, ready to be summed; fits and samplers start from here.

A fit computes its sums from nodes (:mod:`~homodyne_lib.likelihood.nodes`), in which the data are read once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from homodyne_lib.io.correlations import Correlations, RowBand
from homodyne_lib.likelihood.bands import Band, Experiment, make_band
from homodyne_lib.likelihood.nodes import FINENESS, Nodes, make_nodes
from homodyne_lib.likelihood.normal_equations import NormalEquations, normal_equations, solve_scaling
from homodyne_lib.model.geometry import PhysicsFactors
from homodyne_lib.model.layouts import numpy_mesh
from homodyne_lib.model.parameters import parameter_names
from homodyne_lib.model.scaling import PerAngleScaling

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
    fineness : int
        Of the nodes.
    nodes : Nodes
        What sums are computed from.
    """

    band: Band
    experiment: Experiment
    weight: np.ndarray
    scaling: PerAngleScaling
    names: list[str]
    convention: str
    fineness: int
    nodes: Nodes

    @property
    def n_points(self) -> int:
        """Pairs of frames above the diagonal, over all angles."""
        return int(self.band.y_moments[:, 0].sum())

    def normal_equations(self, params) -> NormalEquations:
        """Normal equations at physical parameters [units of the parameter table]."""
        gram = self.nodes.gram(params)
        gram[:, -1, -2:] = self.band.y_moments[:, :2]
        return normal_equations(gram, self.band.y_moments, self.weight, self.band.centre, self.scaling)

    def nodes_of(self, fineness: int = FINENESS) -> Nodes:
        """Nodes of the same data of another fineness, made from the data."""
        return make_nodes(self.band, self.experiment, self.convention, fineness)

    def coarser(self, fineness: int) -> Problem:
        """The same problem on fewer nodes, which stand for the present ones; cheaper, and less exact."""
        return replace(self, fineness=fineness, nodes=self.nodes.coarser(fineness))

    def refined(self, fineness: int) -> Problem:
        """The same problem on other nodes, made from the data."""
        return replace(self, fineness=fineness, nodes=self.nodes_of(fineness))

    def thinned(self, n_pairs: int) -> Problem:
        """Evenly spaced rows of the data, with nodes of their own; all rows where there are no more than ``n_pairs``."""
        stride = -(-self.n_points // n_pairs)
        if stride == 1:
            return self
        rows = slice(stride // 2, None, stride)
        band = make_band(self.band.c2[:, rows][:, : self.band.rows[rows].size], self.band.rows[rows])
        return replace(self, band=band).refined(self.fineness)

    def cost(self, params) -> float:
        """χ² at physical parameters with the best scaling for them; infinite where it is not a number."""
        return float(self.costs([params])[0])

    def costs(self, params) -> np.ndarray:
        """:meth:`cost` at many parameter vectors, (n, p) -> (n,)."""
        return self.costs_from(self.nodes.sums_of_many(params))

    def costs_from(self, sums) -> np.ndarray:
        """χ² with the best scaling from Σu², Σu, Σuy of each angle, (n, n_phi, 3) -> (n,)."""
        data = self.band.y_moments, self.weight, self.band.centre, self.scaling
        chi2 = np.array([solve_scaling(part, *data)[2] if np.all(np.isfinite(part)) else np.inf for part in sums])
        return np.where(np.isfinite(chi2), chi2, np.inf)


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
    # D and the shear rate are summed over every frame from the first to the last, also over those that are missing.
    layout = numpy_mesh(int(record.offsets[-1]) + 1, record.phi, record.dt)
    # Without flow the gap does not enter; 1 Å only satisfies the positivity check.
    factors = PhysicsFactors.from_config(record.q, gap if laminar else 1.0, record.dt, validate=False)
    wq_dt, sinc_prefactor = factors.to_tuple()
    experiment = Experiment(layout.time, record.offsets, layout.phi.ravel(), wq_dt, sinc_prefactor if laminar else 0.0)
    nodes = make_nodes(band, experiment, convention)
    problem = Problem(band, experiment, sigma**-2.0, scaling, names, convention, FINENESS, nodes)
    n_free = len(names) + scaling.n_parameters
    if problem.n_points <= n_free:
        raise ValueError(
            f"{problem.n_points} points above the diagonal cannot fix {n_free} parameters; use more frames."
        )
    return problem
