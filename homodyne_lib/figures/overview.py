"""The main figures of a dataset in one call."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from homodyne_lib.figures.comparison import angular_decays, compare
from homodyne_lib.figures.data_figures import correlation_maps, decays, decays_over_angle
from homodyne_lib.figures.decay_bands import decay_bands
from homodyne_lib.figures.diagnostic_figures import corner, residuals
from homodyne_lib.figures.result_figures import rates_over_time
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.model.frames import frame_offsets
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.posteriors import Posterior, rate_times, rates_side_by_side

__all__ = ["Figures", "main_figures"]

_FEWEST_PIXELS = 10  # of a map
_ROUNDING = 1e-6


class Figures(dict[str, Figure]):
    """Figures by name; a notebook shows all of them, one below the other."""

    def _ipython_display_(self) -> None:
        from IPython.display import display

        for figure in self.values():
            display(figure)


def main_figures(
    record: Correlations,
    fit: Fit,
    posterior: Posterior | None = None,
    truth: Mapping[str, float] | None = None,
    pixels: int = 200,
) -> Figures:
    """Draw data, model and residuals; decays; rates; angles; the posterior.

    Parameters
    ----------
    record : Correlations
        With its noise.
    fit : Fit
    posterior : Posterior, optional
        Without one there are no bands, no rates and no corner plot.
    truth : mapping of str to float, optional
        Parameters of a simulation [units of the parameter table]; its time begins with frame 1.
    pixels : int
        Largest side of a map.

    Returns
    -------
    Figures
        ``correlations`` (``correlations-2`` and so on where there are more than six bins), ``decays``, ``rates``,
        ``angles`` where there are several, ``corner``, ``residuals``. Where many bins are of several q or files, the first
        three show some of them.

    Raises
    ------
    ValueError
        If the fit is not one of this record, the posterior not one of the fit, or maps would have fewer than ten pixels.
    """
    fitted, n_pairs = fit.scaling.bins, len(record.bins) * len(record.frames) * (len(record.frames) - 1) // 2
    alike = (np.array_equal(getattr(record.bins, part), getattr(fitted, part)) for part in ("repeat", "q", "phi"))
    if not all(alike) or n_pairs != fit.by_squares.n_points:
        raise ValueError(
            f"the fit is not one of this record: it has {fitted.in_words} and {fit.by_squares.n_points} pairs of frames, and "
            f"the record {record.bins.in_words} and {n_pairs}, at other q or angles perhaps; fit the record."
        )
    if not np.allclose(fit.by_squares.sigma, record.sigma, rtol=_ROUNDING):
        raise ValueError(
            f"the fit is not one of this record: it has the noise {fit.by_squares.sigma[0]:.6g} at the first bin, and the "
            f"record {record.sigma[0]:.6g}; fit the record."
        )
    if posterior is not None and not posterior.is_of(fit):
        raise ValueError("the posterior is not one of this fit, whose parameters or values are others; sample the fit.")
    if pixels < _FEWEST_PIXELS:
        raise ValueError(f"matrix_pixels is {pixels}; choose {_FEWEST_PIXELS} or more.")
    comparison = compare(record, fit, pixels)
    maps = correlation_maps(comparison)
    figures = Figures({f"correlations-{k}" if k > 1 else "correlations": figure for k, figure in enumerate(maps, 1)})
    delay = float(frame_offsets(record.frames, 1)[0] * record.dt)
    bands = np.full((2, *comparison.model_decay.shape), np.nan)
    if posterior is not None:
        scaling = posterior.scaling(list(fit.coefficients), fit.per_angle)
        bands = decay_bands(record, fit, comparison, posterior.draws, scaling)
    figures["decays"] = decays(comparison, bands)
    if posterior is not None:
        times = rate_times(comparison.duration, record.dt)
        rates = {
            curve: rates_side_by_side(curve, times, record.dt, fit, posterior, truth, delay) for curve in fit.curves
        }
        figures["rates"] = rates_over_time(times, rates, record.sample.shear_rate)
    if angular := angular_decays(record, fit, comparison):
        direction = fit.values["phi0"] if fit.flow_detected else None
        figures["angles"] = decays_over_angle(angular, direction)
    if posterior is not None:
        drawn = {name: sample for name, sample in posterior.draws.items() if name in fit.values and np.ptp(sample) > 0}
        figures["corner"] = corner(drawn, fit.values, fit.beside(truth or {}, delay))
    figures["residuals"] = residuals(comparison)
    return figures
