"""Plot a record."""

from __future__ import annotations

from collections.abc import Mapping

from homodyne_lib.figures.overview import Figures, main_figures
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
        If the fit is not one of this record, or maps would have fewer than ten pixels.
    """
    return main_figures(c2, fit, posterior, truth, matrix_pixels)
