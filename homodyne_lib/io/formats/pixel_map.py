"""Number, q and angle of the detector pixels of each bin, compared with the q and angles that a file lists.

A list states the nominal centre of a bin. It agrees with the pixels if the centre lies among them, and if the differences of
all bins from their pixels have no common part. If one bin disagrees, the whole list is taken as wrong: what shifts one label
(an empty place of the grid, joined maps) shifts others too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_lib.io.bin_selection import normalise_phi
from homodyne_lib.io.hdf5 import File, InputError, get_dataset, holds

__all__ = ["HC", "BinPixels", "Geometry", "count_pixels", "measure_pixels", "read_pixel_labels", "settle_bins"]

HC = 12.39842  # photon energy times wavelength [keV Å]
_SWUNG = 0.1  # [deg], up to which the formulas for a flat detector hold; an arm at zero reads thousandths
_FEW = 50  # pixels; the mean over fewer can be far from the centre of a bin that a beam stop cuts
_FOLDS = 8  # highest rotational symmetry of bins that is searched for; rings have none
_ONE_DIRECTION = 0.5  # least length of the mean unit vector of a sector, reached at 217 deg; a ring has 0
_Q_ROOM = 0.03  # relative; nominal centres and means over pixels differ by less
_PHI_ROUNDING = 1.0  # [deg] of narrow sectors to whole pixels
_COMMON_PHI = 3.0  # [deg], common difference of all sectors; it is 0.5 in correct maps, where masks prefer no side
_COMMON_SHARE = 0.25  # of the width of a sector: less than the half by which sectors are shifted to centre one on zero
_HALF = 0.55  # of the width of a bin, within which its pixels lie of its centre; 0.05 is for rounding to pixels


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of a detector are.

    Parameters
    ----------
    column, row : float
        Beam centre, from the centre of the first pixel [px].
    pixel_size, distance : float
        [m]
    energy : float
        Of a photon [keV].
    swing : float
        Largest angle by which the detector is turned about the sample [deg].
    """

    column: float
    row: float
    pixel_size: float
    distance: float
    energy: float
    swing: float = 0.0


@dataclass(frozen=True)
class BinPixels:
    """Number, q and angle of the pixels of each bin; NaN where a bin has none.

    Parameters
    ----------
    counts : numpy.ndarray
        Number of pixels, shape (n_bins,), int64.
    q, q_centre, q_width : numpy.ndarray
        Mean over the pixels, middle of the ring they fill evenly, and width of such a ring [1/Å].
    phi, phi_width : numpy.ndarray
        Mean direction, counter-clockwise with row 0 on top, and width of a sector evenly filled [deg].
    directed : numpy.ndarray
        Whether the pixels lie in one direction, modulo the symmetry; not so in a ring.
    fold : int
        Rotations that carry each bin into itself: 2 where bins hold opposite sectors.
    swing : float
        As of :class:`Geometry`.
    """

    counts: np.ndarray
    q: np.ndarray
    q_centre: np.ndarray
    q_width: np.ndarray
    phi: np.ndarray
    phi_width: np.ndarray
    directed: np.ndarray
    fold: int
    swing: float


def read_pixel_labels(file: File, path: str, mask: str | None = None) -> np.ndarray | None:
    """Read the bin of each pixel; None where the file has no such map.

    Parameters
    ----------
    file : h5py.File
    path : str
        Path of the map of bins.
    mask : str, optional
        Path of a map that is zero or false where a pixel is not used, if it is there.

    Returns
    -------
    numpy.ndarray or None
        Bins from 1, 0 where a pixel is not used, shape (rows, columns).

    Raises
    ------
    InputError
        When the maps are no pictures of one size.
    """
    if not holds(file, path):
        return None
    labels = get_dataset(file, path)[()]
    if labels.ndim != 2:
        raise InputError(f"{path} has the shape {labels.shape}; it must be that of the detector.")
    if mask is None or not holds(file, mask):
        return labels
    used = get_dataset(file, mask)[()] != 0
    if used.shape != labels.shape:
        raise InputError(
            f"{path} has the shape {labels.shape} and {mask} {used.shape}; both must be that of the detector."
        )
    return np.where(used, labels, 0)


def count_pixels(labels: np.ndarray, n_bins: int) -> np.ndarray:
    """Number of pixels with each of the labels 1 to n_bins, shape (n_bins,), int64."""
    inside = labels[(labels >= 1) & (labels <= n_bins)]
    return np.bincount(inside.astype(np.int64), minlength=n_bins + 1)[1:]


def measure_pixels(labels: np.ndarray, geometry: Geometry, n_bins: int) -> BinPixels:
    """Number, q and angle of the pixels of each bin.

    Parameters
    ----------
    labels : numpy.ndarray
        Bin of each pixel, from 1; 0 where a pixel is not used, shape (rows, columns).
    geometry : Geometry
    n_bins : int

    Returns
    -------
    BinPixels
        Arrays of shape (n_bins,).
    """
    rows, columns = np.nonzero((labels >= 1) & (labels <= n_bins))
    bins = labels[rows, columns].astype(np.int64) - 1
    counts = np.bincount(bins, minlength=n_bins)

    def mean(values):
        with np.errstate(invalid="ignore"):  # bins without pixels
            return np.bincount(bins, values, n_bins) / counts

    x, y = (columns - geometry.column) * geometry.pixel_size, (rows - geometry.row) * geometry.pixel_size
    # The pixel in the beam centre has no direction, and a mean distance of about half its size.
    radius = np.maximum(np.hypot(x, y), 0.5 * geometry.pixel_size)
    q = 4.0 * np.pi * geometry.energy / HC * np.sin(np.arctan(radius / geometry.distance) / 2.0)
    direction = (x - 1j * y) / radius
    enough = counts >= min(_FEW, counts.max())
    fold, turned, means = 1, np.ones_like(direction), []
    for order in range(1, _FOLDS + 1):  # bins of a symmetry have no direction in lower ones
        turned = turned * direction
        means.append(mean(turned.real) + 1j * mean(turned.imag))
        if np.median(np.abs(means[-1][enough])) >= _ONE_DIRECTION:
            fold = order
            break
    vector = means[fold - 1]
    return BinPixels(
        counts=counts,
        q=mean(q),
        q_centre=1.0 / mean(1.0 / q),  # the number of pixels at a radius grows with it
        q_width=np.sqrt(12.0 * np.maximum(mean(q * q) - mean(q) ** 2, 0.0)),
        phi=np.degrees(np.angle(vector)) / fold,
        phi_width=np.degrees(np.sqrt(24.0 * np.maximum(1.0 - np.abs(vector), 0.0))) / fold,
        directed=np.abs(vector) >= _ONE_DIRECTION,
        fold=fold,
        swing=geometry.swing,
    )


def settle_bins(
    listed: tuple[np.ndarray, np.ndarray] | None, axes: str, pixels: BinPixels
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Choose between the lists of a file and the pixels of its bins.

    Parameters
    ----------
    listed : (q, phi) or None
        What the lists state of each bin [1/Å], [deg], shape (n_bins,); None where the map has other axes.
    axes : str
        What the lists state, for messages.
    pixels : BinPixels

    Returns
    -------
    q, phi : numpy.ndarray
        The lists where they agree with the pixels, else the means over the pixels, shape (n_bins,).
    notes : tuple of str
        What was found, where the lists are not used as they are.

    Raises
    ------
    InputError
        When the pixels are needed and the detector is swung.
    """
    if listed is None:
        complaint = f"the map of bins is a grid in {axes}, which states no q and phi"
    else:
        complaint = _disagreement(*listed, pixels)
        if complaint and not _disagreement(listed[0], -listed[1], pixels):
            return *listed, ("The angles listed in the file count clockwise on its pixels; they are used as listed.",)
    if not complaint:
        return *listed, ()
    if abs(pixels.swing) > _SWUNG:
        raise InputError(
            f"{complaint}; q and phi of the pixels are not known either, since the detector is swung by "
            f"{pixels.swing:g} deg. Make the map of bins again, in q and phi, and process the data with it."
        )
    phi = pixels.phi if listed is None else np.where(pixels.directed, pixels.phi, listed[1])
    widths = (pixels.q_width / pixels.q)[pixels.counts > 1]
    spread = f", over which q spreads by {100 * np.median(widths):.2g} %" if widths.size else ""
    return (
        pixels.q,
        phi,
        (
            f"{complaint[0].upper()}{complaint[1:]}. For all bins, q and phi are means over the pixels of a bin{spread}, "
            "computed from beam centre, distance and photon energy in the file.",
        ),
    )


def _disagreement(q: np.ndarray, phi: np.ndarray, pixels: BinPixels) -> str:
    """Say how lists differ from the pixels of their bins; empty where they agree."""
    bins = np.flatnonzero(pixels.counts >= _FEW)
    if not bins.size:
        return ""
    by_q, q_agrees = _apart_in_q(q, pixels, bins)
    by_phi, phi_agrees = _apart_in_phi(phi, pixels, bins)
    if q_agrees and phi_agrees:
        return ""
    size = np.maximum(by_q, by_phi)
    k = bins[np.argmax(size)]
    return (
        f"the lists of q and phi in the file contradict its pixels in {np.count_nonzero(~(size <= 1.0))} of {bins.size} "
        f"bins of {_FEW} pixels or more: bin {k + 1}, listed at q = {q[k]:.4g} 1/Å, phi = {normalise_phi(phi[k]):.4g} deg, "
        f"has its pixels at q = {pixels.q[k]:.4g} 1/Å, phi = {pixels.phi[k]:.4g} deg"
    )


# Both are written so that a list with NaN disagrees. A mask or the edge of the detector cuts some bins, so that a bin is
# allowed the width of most bins, where that is larger than its own.


def _apart_in_q(q: np.ndarray, pixels: BinPixels, bins: np.ndarray) -> tuple[np.ndarray, bool]:
    """Differences between list and pixels over what is usual, shape (n,), and whether the list is right."""
    centre, width = pixels.q_centre[bins], pixels.q_width[bins]
    with np.errstate(over="ignore"):
        off = q[bins] / centre - 1.0
    # Rings are cut evenly in q, or evenly in its logarithm.
    usual = np.maximum(np.median(width) / centre, np.median(width / centre))
    room = np.maximum(_Q_ROOM, _HALF * np.maximum(width / centre, usual))
    return np.abs(off) / _Q_ROOM, bool(np.all(np.abs(off) <= room) and abs(np.median(off)) <= _Q_ROOM)


def _apart_in_phi(phi: np.ndarray, pixels: BinPixels, bins: np.ndarray) -> tuple[np.ndarray, bool]:
    """The same of the angles; rings have none."""
    directed = pixels.directed[bins]
    size, bins = np.zeros(bins.size), bins[directed]
    if not bins.size:
        return size, True
    half_period, width = 180.0 / pixels.fold, pixels.phi_width[bins]
    off = np.mod(normalise_phi(phi[bins]) - pixels.phi[bins] + half_period, 2.0 * half_period) - half_period
    usual = np.median(width)
    room = np.maximum(_PHI_ROUNDING, _HALF * np.maximum(width, usual))
    limit = max(min(_COMMON_PHI, _COMMON_SHARE * usual), 0.1 * _PHI_ROUNDING)
    size[directed] = np.abs(off) / limit
    # One sector alone is a ring of which the detector sees a part; its nominal centre is that of the largest part.
    several = np.ptp(phi[bins]) != 0.0
    return size, bool(np.all(np.abs(off) <= room) and (not several or abs(np.median(off)) <= limit))
