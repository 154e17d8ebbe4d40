"""A fit to nodes against one to all pairs of frames, and the certificate that shows the difference."""

import re

import numpy as np
import pytest
from scipy.optimize import least_squares
from white_noise import SIGMA, TRUTH, on_every_pair, problem_of

from homodyne_lib.fitting import certificate
from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.model.kernels import g1_total
from homodyne_lib.model.layouts import numpy_mesh
from homodyne_lib.model.scaling import PER_ANGLE_MODES

PHI = (-40.0, 10.0, 60.0)
N = 90  # frames, of which nodes are a part


def start_of(problem):
    return dict(zip(problem.names, np.array(TRUTH["laminar_flow"])[: len(problem.names)] * 1.1, strict=True))


def dense_fit(problem, c2, start):
    """SciPy on the residuals of all pairs one by one; slopes by complex steps, contrast and offset among the parameters."""
    p, pairs = len(problem.names), np.triu_indices(N, 1)
    scale = np.maximum(np.abs(start), 1e-3)
    layout = numpy_mesh(N, PHI, 0.1)
    experiment = problem.experiment

    def residuals(x):
        params, coefficients = x[:p] * scale, x[p:]
        u = g1_total(params, layout, *experiment.factors_of(0), problem.model.convention)
        u = (np.ones((len(PHI), 1, 1)) * u)[:, *pairs] ** 2
        if problem.scaling.fixed is not None:
            contrast, offset = problem.scaling.fixed
        else:
            contrast, offset = (problem.scaling.basis @ part for part in np.split(coefficients, 2))
        return ((contrast[:, None] * u + offset[:, None] - c2[:, *pairs]) / SIGMA).ravel()

    def jacobian(x):
        return np.array([residuals(x + 1e-30j * np.eye(x.size)[k]).imag / 1e-30 for k in range(x.size)]).T

    guess = np.outer([0.32, 1.0], problem.scaling.constant).ravel()[: problem.scaling.n_parameters]
    found = least_squares(residuals, np.append(start / scale, guess), jacobian, x_scale="jac", xtol=1e-12, ftol=1e-14)
    return found.x[:p] * scale, 2.0 * found.cost


@pytest.mark.parametrize("convention", ["spec", "published"])
@pytest.mark.parametrize("per_angle", PER_ANGLE_MODES)
@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_a_fit_is_that_of_all_pairs_one_by_one(mode, per_angle, convention):
    problem, c2 = problem_of(mode, per_angle, convention, phi=PHI, n=N)
    start = np.array(TRUTH[mode]) * 1.05
    fit = fit_nlsq(problem, start=dict(zip(problem.names, start, strict=True)), n_starts=0)
    values, chi2 = dense_fit(problem, c2, start)
    assert fit.chi2 == pytest.approx(chi2, rel=1e-6)
    assert np.abs((fit.values[: values.size] - values) / fit.errors[: values.size]).max() < 0.02
    assert problem.nodes.weight.size < N * (N - 1) // 2
    assert fit.certificate.pairs == problem.n_points
    assert fit.certificate.holds


def test_the_shift_of_a_certificate_is_that_of_the_minimum():
    """Both are small, so that what is left out, the change of the curvature, is a tenth of them or so."""
    problem, _ = problem_of("laminar_flow", phi=PHI, n=N)
    exact = fit_nlsq(on_every_pair(problem), start=start_of(problem), n_starts=0)
    assert exact.certificate.log_density < 1e-6
    for fineness in (6, 8, 10):
        coarse = problem.on_nodes_of(fineness)
        fit = coarse_fit(coarse)
        shift = np.abs((fit.values - exact.values) / exact.errors)[:7].max()
        assert 1e-3 < shift < 0.2
        assert fit.certificate.shift == pytest.approx(shift, rel=0.2)


def coarse_fit(problem):
    """A fit that keeps its nodes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("homodyne_lib.fitting.nlsq._FINENESS", ())
        return fit_nlsq(problem, start=start_of(problem), n_starts=0)


def test_nodes_that_are_too_coarse_are_found_and_made_finer():
    problem, _ = problem_of("laminar_flow", phi=PHI, n=N)
    coarse = problem.on_nodes_of(6)
    kept, fit = coarse_fit(coarse), fit_nlsq(coarse, start=start_of(problem), n_starts=0)
    assert not kept.certificate.holds
    assert kept.certificate.sentence in kept.warnings
    assert "; more than the 0.05 and 0.02 that are allowed." in kept.certificate.sentence
    assert fit.certificate.fineness == 32
    assert fit.certificate.holds
    assert not any("nodes" in warning for warning in fit.warnings)
    fine = fit_nlsq(problem.on_nodes_of(32), start=start_of(problem), n_starts=0)
    assert np.abs((fit.values - fine.values) / fine.errors).max() < 1e-3
    assert fit.n_evaluations > fine.n_evaluations


def test_a_certificate_from_a_sample_of_rows_says_so(monkeypatch):
    problem, _ = problem_of("laminar_flow", phi=PHI, n=N)
    whole = coarse_fit(problem.on_nodes_of(6)).certificate
    monkeypatch.setattr(certificate, "_MOST_PAIRS", problem.n_points - 1)
    monkeypatch.setattr(certificate, "_SAMPLE", problem.n_points // 2 + 200)
    part = coarse_fit(problem.on_nodes_of(6)).certificate
    assert 0.4 * problem.n_points < part.pairs <= problem.n_points // 2 + 200
    assert f"a sample of {part.pairs} pairs of frames in evenly spaced rows" in part.sentence
    assert "all pairs of frames" in whole.sentence
    assert re.search(r"at most \S+, and move parameters by at most \S+ of their errors", part.sentence)
    # What noise has to do with the difference is another in every sample.
    assert 0.2 < part.log_density / whole.log_density < 5.0


def test_parameters_that_were_held_are_not_moved():
    problem, _ = problem_of("laminar_flow", phi=PHI, n=N)
    params = np.array(TRUTH["laminar_flow"])
    given, chi2 = certificate.certify(problem, params, np.zeros((7, 7)), 1.0)
    assert (given.log_density, given.shift) == (0.0, 0.0)
    assert given.holds
    assert chi2 == pytest.approx(problem.cost(params), rel=1e-6)


def test_what_the_data_determine_is_moved_where_no_parameter_has_an_error():
    """With an exponent of zero, D0 and D_offset act alike; their sum is determined."""
    problem, _ = problem_of("static", phi=PHI, n=N, params=[15000.0, 0.0, 15000.0])
    fit = fit_nlsq(problem, fixed={"alpha": 0.0}, n_starts=8)
    assert np.isnan(fit.errors[:3]).all()
    coarse = problem.on_nodes_of(6)
    given, _ = certificate.certify(coarse, fit.values[:3], fit.covariance[:3, :3], fit.reduced_chi2)
    assert given.log_density > 1e-3


def test_points_of_a_certificate_stay_within_bounds(monkeypatch):
    problem, _ = problem_of("laminar_flow", phi=PHI, n=N)
    bounds, seen = {"D0": (4900.0, 5100.0), "alpha": (-0.51, -0.49)}, []

    def watched(problem, params):
        seen.append(params)
        return original(problem, params)

    original = certificate.exact_sums
    monkeypatch.setattr(certificate, "exact_sums", watched)
    start = dict(zip(problem.names, TRUTH["laminar_flow"], strict=True))
    fit = fit_nlsq(problem, start=start, bounds=bounds, n_starts=0)
    points = np.concatenate(seen)
    assert len(points) > 1 + np.isfinite(fit.errors[:7]).sum()
    for name, (low, high) in bounds.items():
        column = points[:, problem.names.index(name)]
        assert np.all((column >= low - 1e-9) & (column <= high + 1e-9))
