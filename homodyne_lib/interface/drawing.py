"""Plot a record."""

from __future__ import annotations

from collections.abc import Mapping

from homodyne_lib.figures.overview import Figures, main_figures
from homodyne_lib.interface.settings import check_kind, check_values, check_whole
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.posteriors import Posterior

__all__ = ["plot"]


def plot(
    c2: Correlations,
    fit: Fit,
    posterior: Posterior | None = None,
    *,
    truth: Mapping[str, float] | None = None,
    matrix_pixels: int = 200,
) -> Figures:
    """Draw the main figures of a dataset.

    Parameters
    ----------
    c2 : Correlations
    fit : Fit
    posterior : Posterior, optional
        Without one there are no bands, no rates and no corner plot.
    truth : mapping of str to float, optional
        Parameters of a simulation; its time begins with frame 1.
    matrix_pixels : int
        Longer sides of c2 are averaged down to so many.

    Returns
    -------
    Figures
        Matplotlib figures by name; a notebook shows all of them, and ``figures["rates"]`` is one.

    Raises
    ------
    ValueError
        If the fit is not one of this record, the posterior not one of the fit, or maps would have fewer than ten pixels.
    """
    check_kind("c2", c2, Correlations, "homodyne_lib.load")
    check_kind("fit", fit, Fit, "homodyne_lib.fit")
    if posterior is not None:
        check_kind("posterior", posterior, Posterior, "homodyne_lib.sample")
    check_whole(1, matrix_pixels=matrix_pixels)
    check_values(truth=truth)
    return main_figures(c2, fit, posterior, truth, matrix_pixels)
