"""Which bins figures give a panel of their own, what it is called, and the colours of bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize

from homodyne_lib.figures.style import shades
from homodyne_lib.model.bins import Bins

__all__ = [
    "COLUMNS",
    "bin_colours",
    "chosen_groups",
    "label_colours",
    "packed",
    "panel_rows",
    "panel_title",
    "shown_bins",
]

COLUMNS = 6
"""Panels beside each other; a figure of maps has one such row, which fits a page of paper with text."""
_MOST = 12  # bins of several groups that have panels; of more, some stand for all
_GROUPS = 3
_APART = 0.08  # least distance of labels beside a bar of colours, of its length


def chosen_groups(bins: Bins) -> list[int]:
    """Numbers of the groups that stand for all: in the first file the lowest, a middle and the highest q.

    Where there is one q, these are the first, a middle and the last file.
    """
    # The groups of the first repeat come first, and are its rings.
    several = bins.rings.size if bins.rings.size > 1 else bins.n_repeats
    return np.unique(np.linspace(0, several - 1, _GROUPS).astype(int)).tolist()


def shown_bins(bins: Bins) -> list[np.ndarray]:
    """Numbers of the bins that have panels, of each group.

    Parameters
    ----------
    bins : Bins

    Returns
    -------
    list of ndarray of int
        All bins where they are at most 12, or of one group. Of more, six: angles that are spread evenly, of the groups that
        stand for all.
    """
    if len(bins) <= _MOST or len(bins.groups) == 1:
        return bins.groups
    groups = chosen_groups(bins)
    return [_spread(bins.groups[group], COLUMNS // len(groups)) for group in groups]


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


def bin_colours(bins: Bins) -> ScalarMappable:
    """Colours by q where there are several, and by angle where there is one."""
    values = bins.rings if bins.rings.size > 1 else bins.phi
    return ScalarMappable(Normalize(values.min(), values.max()), shades())


def label_colours(bar: Colorbar, bins: Bins) -> None:
    """Label the bar of :func:`bin_colours`; at each q where these are few and apart."""
    bar.outline.set_linewidth(0.4)
    rings = bins.rings
    bar.set_label("q [1/Å]" if rings.size > 1 else r"$\varphi$ [°]")
    if rings.size > 1 and np.diff(rings).min() > _APART * np.ptp(rings):
        bar.set_ticks(rings, labels=[f"{q:.4g}" for q in rings])
