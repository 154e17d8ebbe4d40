"""NSLS-II CHX, results of pyCHX: `g12b` with the bins last, q and angle in attributes, a pixel map and metadata.

Angles of pyCHX run clockwise on the detector with row 0 on top; those of a record run counter-clockwise. Where the pixel map
shows that a list runs counter-clockwise already, it is taken so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from homodyne_lib.io.formats.catalogue import Catalogue, Layout, StoredMatrix, refuse_unnamed
from homodyne_lib.io.formats.pixel_map import HC, BinPixels, Geometry, measure_pixels, read_pixel_labels, settle_bins
from homodyne_lib.io.hdf5 import File, InputError, get_dataset, read_attributes

__all__ = ["LAYOUT"]

_FRAME_TIME = ("timeperframe", "frame_time", "acquire period")  # [s]


def _catalogue(file: File) -> Catalogue:
    shape = get_dataset(file, "g12b").shape
    if len(shape) != 3:
        raise InputError(f"g12b has the shape {shape}; pyCHX writes (frames, frames, bins).")
    n_bins, metadata = shape[2], read_attributes(file, "md")
    matrices = [StoredMatrix(file, "g12b", after=(k,)) for k in range(n_bins)]
    frame_time = _number(metadata, *_FRAME_TIME)
    listed, pixels = _listed(file, n_bins), _pixels(file, metadata, n_bins)
    if listed is None and pixels is None:
        refuse_unnamed(n_bins, "g12b")
        return Catalogue(matrices, None, np.zeros(1), frame_time, undirected=np.ones(1, dtype=bool))
    q, phi, undirected, notes = _settle(listed, pixels, str(metadata.get("scat_geometry", "")))
    counts = None if pixels is None else pixels.counts
    return Catalogue(matrices, q, phi, frame_time, notes=notes, pixels=counts, undirected=undirected)


def _listed(file: File, n_bins: int) -> np.ndarray | None:
    """Attributes '0', '1', ... of qval_dict: q [1/Å], and an angle [deg] or a q_z; shape (n_bins, 1 or 2)."""
    values = read_attributes(file, "qval_dict")
    if not values:
        return None
    missing = [str(k) for k in range(n_bins) if str(k) not in values]
    rows = [np.ravel(values[str(k)]) for k in range(n_bins) if str(k) in values]
    if missing or len({row.size for row in rows}) != 1 or rows[0].size not in (1, 2) or rows[0].dtype.kind not in "iuf":
        what = f"lacks {', '.join(missing)}" if missing else "has others"
        raise InputError(f"qval_dict must have q, or q and an angle, of the bins 0 to {n_bins - 1}; it {what}.")
    return np.array(rows, dtype=np.float64)


def _pixels(file: File, metadata: Mapping[str, object], n_bins: int) -> BinPixels | None:
    """Pixels of each bin; None where the file lacks the pixel map or the geometry."""
    wavelength = _number(metadata, "wavelength", "incident_wavelength")  # [Å]
    distance = _number(metadata, "det_distance", "detector_distance")  # [mm] above 1000, else [m]
    places = [_number(metadata, name) for name in ("beam_center_x", "beam_center_y", "x_pixel_size")]  # [px], [px], [m]
    labels = None if None in (wavelength, distance, *places) else read_pixel_labels(file, "roi_mask")
    if labels is None:
        return None
    distance = distance / 1000.0 if distance > 1000.0 else distance
    pixels = measure_pixels(labels, Geometry(*places, distance, HC / wavelength), n_bins)
    if not pixels.counts.all():
        lost = int(np.argmin(pixels.counts)) + 1
        raise InputError(
            f"roi_mask has no pixel with the label {lost}, whose matrix g12b holds; export the file again."
        )
    return pixels


def _settle(listed: np.ndarray | None, pixels: BinPixels | None, geometry: str):
    """q, phi, which bins have no direction, and notes."""
    two = listed is not None and listed.shape[1] == 2
    if two and geometry.startswith("gi"):
        raise InputError(
            f"the geometry is {geometry}: bins lie in q_r and q_z, while the model takes q and the angle in the plane of the "
            "detector; choose them, and write c2 by homodyne_lib.write_c2."
        )
    if pixels is None:
        if two and "saxs" not in geometry:
            raise InputError(
                "qval_dict has two numbers for each bin, and without scat_geometry, or a roi_mask with its geometry in md, "
                "it is unknown whether the second is an angle or q_z; write c2 by homodyne_lib.write_c2."
            )
        return listed[:, 0], -listed[:, 1] if two else np.zeros(len(listed)), np.full(len(listed), not two), ()
    directed = pixels.directed & (pixels.fold <= 2)
    if listed is None:
        notes = ("The file lists no q; q and phi are means over the pixels of a bin.",)
        return pixels.q, np.where(directed, pixels.phi, 0.0), ~directed, notes
    angle = pixels.phi
    if two:
        both = np.array([-listed[:, 1], listed[:, 1]])
        apart = np.abs(np.mod(both - pixels.phi + 180.0, 360.0) - 180.0)
        angle = both[np.argmin(np.median(apart, axis=1))]
    q, phi, notes = settle_bins((listed[:, 0], angle), "q and phi", pixels)
    if notes and two and not geometry:
        raise InputError(
            f"{notes[0]} The file does not state scat_geometry, so that the second number of qval_dict may be q_z as well; "
            "write c2 by homodyne_lib.write_c2."
        )
    return q, np.where(directed, phi, 0.0), ~directed, notes


def _number(metadata: Mapping[str, object], *names: str) -> float | None:
    """The first positive, finite number under one of the names."""
    for name in names:
        value = metadata.get(name)
        if np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf" and 0 < value < np.inf:
            return float(value)
    return None


LAYOUT = Layout("pychx", ("g12b",), _catalogue)
