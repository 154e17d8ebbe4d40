"""Which bins figures give a panel of their own, what it is called, and the colours of bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from homodyne_lib.figures.style import shades
from homodyne_lib.model.bins import Bins

__all__ = ["COLUMNS", "bin_colours", "chosen_rings", "packed", "panel_rows", "panel_title", "shown_bins"]

COLUMNS = 6
"""Panels beside each other; a figure of maps has one such row, which fits a page of paper with text."""
_MOST = 12  # bins of several groups that have panels; of more, some stand for all
_RINGS = 3


def chosen_rings(bins: Bins) -> list[int]:
    """Numbers of the rings of the lowest, a middle and the highest q; all where there are three at most."""
    n_rings = bins.rings.size
    return np.unique(np.linspace(0, n_rings - 1, _RINGS).astype(int)).tolist()


def shown_bins(bins: Bins) -> list[np.ndarray]:
    """Numbers of the bins that have panels, of each group.

    Parameters
    ----------
    bins : Bins

    Returns
    -------
    list of ndarray of int
        All bins where they are at most 12, or of one group. Of more, the first repeat stands for all: angles that are
        spread evenly, at the lowest, a middle and the highest q.
    """
    if len(bins) <= _MOST or len(bins.groups) == 1:
        return bins.groups
    rings = chosen_rings(bins)
    most = _MOST // len(rings)
    # The groups of the first repeat come first, and are its rings.
    return [_spread(bins.groups[ring], most) for ring in rings]


def _spread(group: np.ndarray, most: int) -> np.ndarray:
    """At most so many bins of a group, the first and the last among them."""
    return group[np.linspace(0, group.size - 1, min(most, group.size)).round().astype(int)]


def packed(groups: Sequence[np.ndarray], columns: int) -> list[list[np.ndarray]]:
    """Rows of whole groups, as many as fit beside each other; a group of more bins than columns is cut into equal rows."""
    rows: list[list[np.ndarray]] = []
    free = 0
    for group in groups:
        for part in np.array_split(group, -(-group.size // columns)):
            if part.size > free:
                rows.append([])
                free = columns
            rows[-1].append(part)
            free -= part.size
    return rows


def panel_rows(bins: Bins) -> list[np.ndarray]:
    """Numbers of the bins that have panels, a row of them each."""
    return [np.concatenate(row) for row in packed(shown_bins(bins), COLUMNS)]


def panel_title(bins: Bins, k: int) -> str:
    """The angle of a bin; its q above, and its file, where there are several."""
    angle = rf"$\varphi$ = {bins.phi[k]:.4g}°".replace("-", "−")
    file = f"file {bins.repeat[k] + 1}, " if bins.n_repeats > 1 else ""
    above = f"q = {bins.q[k]:.4g} 1/Å\n" if bins.rings.size > 1 else ""
    return f"{above}{file}{angle}"


def bin_colours(bins: Bins) -> tuple[np.ndarray, ScalarMappable, str]:
    """Colours of bins by q where there are several, and by angle where there is one.

    Parameters
    ----------
    bins : Bins

    Returns
    -------
    colours : ndarray, shape (n_bins, 4)
    scale : matplotlib.cm.ScalarMappable
    label : str
        Of the scale.
    """
    several = bins.rings.size > 1
    values = bins.q if several else bins.phi
    scale = ScalarMappable(Normalize(values.min(), values.max()), shades())
    return scale.to_rgba(values), scale, "q [1/Å]" if several else r"$\varphi$ [°]"
