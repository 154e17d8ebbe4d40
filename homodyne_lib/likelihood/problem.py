"""Data and model of a fit, ready to be summed; fits and samplers start from here.

Sums are computed from nodes (:mod:`~homodyne_lib.likelihood.nodes`) of data that were compressed once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from homodyne_lib.io.correlations import Correlations, RowBand
from homodyne_lib.likelihood.compression import Compressed, compress
from homodyne_lib.likelihood.experiment import Experiment
from homodyne_lib.likelihood.nodes import FINENESS, Nodes, make_nodes
from homodyne_lib.likelihood.normal_equations import (
    NormalEquations,
    normal_equations,
    residual_squares,
    solve_scaling,
)
from homodyne_lib.likelihood.speckle_metric import SpeckleMetric
from homodyne_lib.model.layouts import numpy_mesh
from homodyne_lib.model.model import Model
from homodyne_lib.model.scaling import PerAngleScaling

__all__ = ["Problem", "make_problem"]

_ROUNDS_OF_WEIGHT = 3
_NO_NOISE = 1e-14  # share of the sum of squares that rounding leaves


@dataclass(frozen=True, eq=False)
class Problem:
    """Data and model of a fit, ready to be summed.

    Attributes
    ----------
    data : Compressed
    record : Correlations, RowBand or None
        What was compressed; exact sums need it.
    experiment : Experiment
    weight : ndarray, shape (n_phi,)
        1/σ² of each angle.
    scaling : PerAngleScaling
    model : Model
    fineness : int
        Of the nodes.
    nodes : Nodes
        What the sums of least squares are computed from.
    metric : SpeckleMetric or None
        Gives inner products in the place of sums over pairs; None in least squares.
    """

    data: Compressed
    record: Correlations | RowBand | None
    experiment: Experiment
    weight: np.ndarray
    scaling: PerAngleScaling
    model: Model
    fineness: int
    nodes: Nodes
    metric: SpeckleMetric | None = None

    @property
    def names(self) -> list[str]:
        """Physical parameters, in order."""
        return self.model.names

    @property
    def n_points(self) -> int:
        """Pairs of frames above the diagonal, over all angles."""
        return int(self.data.y_moments[:, 0].sum())

    @property
    def products(self) -> Nodes | SpeckleMetric:
        """What gives the sums over pairs, or inner products in their place."""
        return self.metric or self.nodes

    @property
    def y_moments(self) -> np.ndarray:
        """Inner products of 1 with 1, of 1 with y and of y with y at each angle, (n_phi, 3); y is c2 less the centre."""
        return self.data.y_moments if self.metric is None else self.metric.y_moments

    def normal_equations(self, params) -> NormalEquations:
        """Normal equations at physical parameters [units of the parameter table]."""
        gram = self.products.gram(params)
        gram[:, -1, -2:] = self.y_moments[:, :2]
        return normal_equations(gram, self.y_moments, self.weight, self.data.centre, self.scaling)

    def in_metric(self, metric: SpeckleMetric, params) -> Problem:
        """The same problem in a metric, where each angle weighs as much as its residuals at a fit are small.

        Parameters
        ----------
        metric : SpeckleMetric
        params : array_like, shape (p,)
            Fitted physical parameters [units of the parameter table].

        Returns
        -------
        Problem
            With weights for which the mean square of a residual is one at each angle.
        """
        sums, pairs = metric.sums(params), self.data.y_moments[:, 0]
        weight = pairs / metric.y_moments[:, 2]
        # Where angles share a contrast, the best one depends a little on the weights.
        for _ in range(_ROUNDS_OF_WEIGHT):
            _, mix, _ = solve_scaling(sums, metric.y_moments, weight, self.data.centre, self.scaling)
            # Data without noise would weigh infinitely.
            squares = residual_squares(sums, metric.y_moments, mix)
            weight = pairs / np.maximum(squares, _NO_NOISE * metric.y_moments[:, 2])
        return replace(self, metric=metric, weight=weight)

    def coefficients(self, params) -> np.ndarray:
        """Best scaling coefficients for physical parameters [units of the parameter table]."""
        sums = self.products.sums(np.asarray(params, dtype=float))
        return solve_scaling(sums, self.y_moments, self.weight, self.data.centre, self.scaling)[0]

    def nodes_of(self, fineness: int) -> Nodes:
        """Nodes of the same data of another fineness."""
        return make_nodes(self.data, self.experiment, self.model.convention, fineness)

    def on_nodes_of(self, fineness: int) -> Problem:
        """The same problem on other nodes."""
        return replace(self, fineness=fineness, nodes=self.nodes_of(fineness))

    def with_frames(self, c2, frames, sigma) -> Problem:
        """The same problem of least squares for matrices of some frames, at their times in the whole record.

        Parameters
        ----------
        c2 : ndarray, shape (n_bins, n, n)
        frames : ndarray of int, shape (n,)
            Their numbers in the source.
        sigma : ndarray, shape (n_bins,)
            Noise of an entry.

        Returns
        -------
        Problem
        """
        record = self.record
        about = {name: getattr(record, name) for name in ("phi", "q", "repeat", "dt", "stator_rotor_gap")}
        origin = int(record.frames[0] - record.offsets[0])
        part = RowBand(np.arange(len(frames)), c2, frames=frames, sigma=sigma, origin=origin, **about)
        return make_problem(part, self.scaling, self.model)

    def thinned(self, n_pairs: int) -> Problem:
        """Evenly spaced rows of the record, of some ``n_pairs`` pairs, compressed by themselves."""
        stride = -(-self.n_points // n_pairs)
        band = self.record.band(slice(stride // 2, None, stride))
        return replace(self, data=compress(band), record=band).on_nodes_of(self.fineness)

    def cost(self, params) -> float:
        """χ² at physical parameters with the best scaling for them; infinite where it is not a number."""
        return float(self.costs([params])[0])

    def costs(self, params) -> np.ndarray:
        """:meth:`cost` at many parameter vectors, (n, p) -> (n,)."""
        return self.costs_from(self.products.sums_of_many(params))

    def costs_from(self, sums) -> np.ndarray:
        """χ² with the best scaling from Σu², Σu, Σuy of each angle, (n, n_phi, 3) -> (n,)."""
        data = self.y_moments, self.weight, self.data.centre, self.scaling
        chi2 = np.array([solve_scaling(part, *data)[2] if np.all(np.isfinite(part)) else np.inf for part in sums])
        return np.where(np.isfinite(chi2), chi2, np.inf)


def make_problem(
    data: Compressed | Correlations | RowBand,
    scaling: PerAngleScaling,
    model: Model,
    record: Correlations | RowBand | None = None,
) -> Problem:
    """Collect data, geometry and model of a fit.

    Parameters
    ----------
    data : Compressed, Correlations or RowBand
        A record, or what it was compressed to.
    scaling : PerAngleScaling
    model : Model
    record : Correlations or RowBand, optional
        What was compressed to ``data``, for exact sums.

    Returns
    -------
    Problem

    Raises
    ------
    ValueError
        For a wrong σ, a missing gap, entries that are no numbers, or fewer points than free parameters.
    """
    sigma = np.zeros(0) if data.sigma is None else np.asarray(data.sigma, dtype=float)
    gap = data.stator_rotor_gap
    if sigma.shape != np.shape(data.phi) or not np.all(np.isfinite(sigma) & (sigma > 0)):
        raise ValueError(f"sigma {sigma.tolist()} must be positive, one number for each of {np.size(data.phi)} angles.")
    if model.has_flow and gap is None:
        raise ValueError(
            "laminar_flow needs stator_rotor_gap [Å], the distance between stator and rotor; none was given."
        )
    if not isinstance(data, Compressed):
        record, data = data, compress(data)
    # D and the shear rate are summed over every frame from the first to the last, also over those that are missing.
    time = numpy_mesh(int(data.offsets[-1]) + 1, data.phi, data.dt).time
    experiment = Experiment.of(
        time, data.offsets, data.bins, data.dt, gap if model.has_flow else None, model.q_exponent
    )
    nodes = make_nodes(data, experiment, model.convention)
    problem = Problem(data, record, experiment, sigma**-2.0, scaling, model, FINENESS, nodes)
    n_free = len(model.names) + scaling.n_parameters
    if problem.n_points <= n_free:
        raise ValueError(
            f"{problem.n_points} points above the diagonal cannot fix {n_free} parameters; use more frames."
        )
    return problem
