"""The result of a fit, as nlsq.json holds it, and the estimates that came before it, as scaling.json does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from homodyne_lib.fitting.certificate import Certificate
from homodyne_lib.fitting.speckle_fit import MetricState
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.model.curves import CURVES
from homodyne_lib.model.kernels import BROWNIAN, convention_in_words
from homodyne_lib.model.model import Model
from homodyne_lib.model.parameters import is_static
from homodyne_lib.model.scales import nearest_image
from homodyne_lib.model.scaling import PerAngleScaling, per_angle_scaling
from homodyne_lib.results.calibrations import Calibration, Covariance
from homodyne_lib.results.fit_checks import FitAgreement, FlowTest, MisfitReport, PartsAgreement
from homodyne_lib.results.scalings import AngleScaling, QuantileScaling
from homodyne_lib.results.shown import Shown, number
from homodyne_lib.results.typed_json import IN_MEMORY, OPTIONAL_KEY, JsonFile

__all__ = [
    "Fit",
    "FitInput",
    "FittedParameter",
]


@dataclass(frozen=True)
class FittedParameter:
    """A fitted physical parameter.

    Attributes
    ----------
    value, error : float
        [unit]; the error is that of independent residuals in the metric of the fit, and NaN where it is not defined.
    unit : str
    at_bound : bool
    """

    value: float
    error: float
    unit: str
    at_bound: bool


@dataclass(frozen=True, eq=False)
class FitInput:
    """What a fit was made from; the steps after it need it.

    Attributes
    ----------
    record : Correlations
    data : Compressed
        What the record was compressed to.
    quantiles : QuantileScaling
    fourier_order : int
    bounds : mapping of str to (float, float)
    fixed : mapping of str to float
    """

    record: Correlations
    data: Compressed
    quantiles: QuantileScaling
    fourier_order: int
    bounds: Mapping[str, Sequence[float]]
    fixed: Mapping[str, float]


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Shown, JsonFile):
    """Result of a fit; the content of nlsq.json.

    Attributes
    ----------
    estimator : str
        ``least_squares``, or ``speckle`` for a fit in the metric of speckle noise.
    analysis_mode, per_angle_mode, shear_convention : str
    q_exponent : float or None
        Power of q with which the decay goes, about the reference q; None where it is one of the parameters.
    parameters : dict of str to FittedParameter
        Physical parameters, in order.
    scaling : AngleScaling
    coefficients : dict of str to float
        Free numbers of contrast and offset, in order.
    covariance : Covariance
        Of independent residuals in the metric, of the parameters and coefficients that have an error.
    chi2, reduced_chi2 : float
        In the metric of speckle noise each angle weighs as much as its residuals are small, so that the second is near 1.
    n_points, n_free : int
        Pairs of frames, and free numbers.
    sigma : ndarray, shape (n_phi,)
        Noise that weighted the residuals.
    converged : bool
    message : str
        A sentence.
    warnings : list of str
    basins : list of dict of str to float
        Distinct minima, best first: parameters, ``delta_chi2``, ``descents``.
    n_evaluations : int
        Of χ² and its slopes, in the last descents.
    misfit : MisfitReport
    certificate : Certificate or None
        None for a fit that uses no nodes.
    flow_test : FlowTest or None
        None where the model has no flow.
    metric : MetricState or None
        From what the metric of speckle noise can be made again; None in least squares.
    merged_at : ndarray, shape (p + n_scaling,), or None
        Physical parameters and coefficients at which frames of a long record were merged for the metric; None of a short one.
    agreement : FitAgreement or None
        Comparison of both fits; None where there is one.
    parts : PartsAgreement or None
        Whether each q, and each repeat, alone gives the same rates; None where there is one of each.
    least_squares : Fit or None
        That fit, where both were made.
    speckle : Fit or None
        The fit in the metric of speckle noise, where it was made and is not quoted.
    calibration : Calibration or None
        Errors that the residuals call for; calibration.json holds it.
    made_from : FitInput or None
        None where the fit was read from a file.
    """

    estimator: str
    analysis_mode: str
    per_angle_mode: str
    shear_convention: str
    parameters: dict[str, FittedParameter]
    scaling: AngleScaling
    coefficients: dict[str, float]
    covariance: Covariance
    chi2: float
    reduced_chi2: float
    n_points: int
    n_free: int
    sigma: np.ndarray
    converged: bool
    message: str
    warnings: list[str]
    basins: list[dict[str, float]]
    n_evaluations: int
    misfit: MisfitReport
    q_exponent: float | None = BROWNIAN
    certificate: Certificate | None = field(default=None, metadata=OPTIONAL_KEY)
    flow_test: FlowTest | None = field(default=None, metadata=OPTIONAL_KEY)
    metric: MetricState | None = field(default=None, metadata=OPTIONAL_KEY)
    merged_at: np.ndarray | None = field(default=None, metadata=OPTIONAL_KEY)
    agreement: FitAgreement | None = field(default=None, metadata=OPTIONAL_KEY)
    parts: PartsAgreement | None = field(default=None, metadata=OPTIONAL_KEY)
    least_squares: Fit | None = field(default=None, metadata=OPTIONAL_KEY)
    speckle: Fit | None = field(default=None, metadata=OPTIONAL_KEY)
    calibration: Calibration | None = field(default=None, metadata=IN_MEMORY)
    made_from: FitInput | None = field(default=None, metadata=IN_MEMORY)

    def with_calibration(self, calibration: Calibration | None) -> Fit:
        """The fit, and the other one beside it, with the content of calibration.json."""
        beside = {name: getattr(self, name) for name in ("least_squares", "speckle")}
        others = {
            name: replace(fit, calibration=getattr(calibration, name, None)) for name, fit in beside.items() if fit
        }
        return replace(self, calibration=calibration, **others)

    def with_parts(self, parts: PartsAgreement | None) -> Fit:
        """The fit with what parts say alone, and with a warning where they disagree."""
        if parts is None:
            return self
        others = [sentence for sentence in self.warnings if sentence not in parts.against]
        return replace(self, parts=parts, warnings=[*parts.against, *others])

    @property
    def by_squares(self) -> Fit:
        """The fit by least squares: this one, or the one beside it."""
        return self.least_squares or self

    @property
    def other(self) -> tuple[str, Fit] | None:
        """What the fit beside the quoted one is called, and itself; None where there is one fit."""
        if self.speckle is not None:
            return "speckle metric", self.speckle
        if self.estimator == "speckle" and self.least_squares is not None:
            return "least squares", self.least_squares
        return None

    @property
    def flow_detected(self) -> bool | None:
        """Whether the data need a flow; None where the model has none."""
        return None if self.flow_test is None else self.flow_test.detected

    @property
    def sound(self) -> bool:
        """Whether it converged, residuals are noise, fits and parts agree, and no other flow fits as well."""
        disagree = any(test is not None and test.rejected for test in (self.agreement, self.parts))
        other_flows = self.flow_test is not None and self.flow_test.direction_open
        return self.converged and not (self.misfit.detected or disagree or other_flows)

    @property
    def values(self) -> dict[str, float]:
        """Physical parameters by name [units of the parameter table]."""
        return {name: parameter.value for name, parameter in self.parameters.items()}

    @property
    def vector(self) -> list[float]:
        """Physical parameters, then coefficients of contrast and offset."""
        return [*self.values.values(), *self.coefficients.values()]

    @property
    def noise_scale(self) -> float:
        """Root mean square of the residuals [σ]."""
        return float((self.chi2 / self.n_points) ** 0.5)

    @property
    def model(self) -> Model:
        """What was fitted."""
        return Model(self.analysis_mode, self.shear_convention, self.q_exponent)

    @property
    def is_static(self) -> bool:
        """Whether the model has diffusion only."""
        return is_static(self.analysis_mode)

    @property
    def curves(self) -> list[str]:
        """Rates of the model: D, and the shear rate where there is flow."""
        return [curve for curve in CURVES if curve == "D" or not self.is_static]

    def beside(self, truth: Mapping[str, Any], delay: float = 0.0) -> dict[str, float]:
        """Those parameters of a simulation that mean what they mean in the fit, periodic ones where they are nearest to it.

        Parameters
        ----------
        truth : mapping
            Parameters by name [units of the parameter table], and its ``shear_convention``; without that, the one of the fit.
        delay : float
            Time of the simulation at which the record begins [s]. Where it is not 0, no power law of the simulation is one of
            the time of the record.

        Returns
        -------
        dict of str to float
        """
        others = {name for curve in CURVES.values() for name in curve[1]} if delay else set()
        if truth.get("shear_convention", self.shear_convention) != self.shear_convention:
            others |= {"gamma_dot_t0", "gamma_dot_t_offset"}
        names = [name for name in self.values if name in truth and name not in others]
        known, fitted = [truth[name] for name in names], [self.values[name] for name in names]
        return dict(zip(names, nearest_image(names, known, fitted).tolist(), strict=True))

    @property
    def per_angle(self) -> PerAngleScaling:
        """How contrast and offset follow from the coefficients."""
        scaling, groups = self.scaling, self.scaling.bins.groups
        order = (len(self.coefficients) // len(groups) // 2 - 1) // 2
        return per_angle_scaling(self.per_angle_mode, scaling.phi, scaling.contrast, scaling.offset, order, groups)

    def error(self, name: str) -> float | None:
        """Error of a physical parameter, calibrated where it can be; None where it is undefined [unit]."""
        independent = self.parameters[name].error
        if np.isnan(independent):
            return None
        return independent if self.calibration is None else self.calibration.errors.get(name)

    @property
    def scaling_errors(self) -> dict[str, np.ndarray]:
        """Errors of ``contrast`` and ``offset``, shape (n_phi,) each, calibrated where they can be."""
        if self.calibration is None:
            return {"contrast": self.scaling.contrast_error, "offset": self.scaling.offset_error}
        spread = self.per_angle.expand_covariance(self.calibration.covariance.of(list(self.coefficients)))
        return dict(zip(("contrast", "offset"), np.sqrt(np.diag(spread)).reshape(2, -1), strict=True))

    def _heading(self) -> str:
        # In the metric χ² per degree of freedom is 1 by construction.
        chi2 = f"χ² per degree of freedom {self.by_squares.reduced_chi2:.3f} by least squares"
        chi2 += f" from {self.by_squares.n_points} pairs of frames"
        return f"Fit, {self.analysis_mode.replace('_', ' ')}: {chi2}. {self.message}"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        rows = [
            [name, p.unit, number(p.value), number(self.error(name), 2), "at a bound" if p.at_bound else ""]
            for name, p in self.parameters.items()
        ]
        errors = "error" if self.calibration is not None else "independent error"
        return ["parameter", "unit", "value", errors, ""], rows

    def _notes(self) -> list[str]:
        flow = [test.sentence for test in (self.agreement, self.flow_test, self.parts) if test is not None]
        rates = [] if self.is_static else [f"Shear rates: {convention_in_words(self.shear_convention)}."]
        if self.calibration is None and self.made_from is None:
            rates.append("Calibrated errors are in calibration.json: fit.with_calibration(Calibration.read(path)).")
        return [*flow, *rates, *(f"Warning: {text}" for text in self.warnings)]
