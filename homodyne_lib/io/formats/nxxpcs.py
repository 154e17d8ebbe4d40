"""NeXus definition NXxpcs: one array of all matrices, or one a key, with attributes for baseline and origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_lib.io.completion import complete_matrix
from homodyne_lib.io.formats.catalogue import (
    Catalogue,
    Layout,
    StoredMatrix,
    numbered_names,
    raise_baseline,
    stated_number,
)
from homodyne_lib.io.formats.units import factor_of, is_unit_of
from homodyne_lib.io.hdf5 import File, InputError, get_dataset, read_attributes, read_numbers

__all__ = ["LAYOUT", "NXXPCS"]

NXXPCS = {
    "matrices": "entry/twotime/two_time_corr_func",
    "q": "entry/instrument/masks/dynamic_q_list",
    "phi": "entry/instrument/masks/dynamic_phi_list",
    "frame_time": "entry/instrument/detector/frame_time",
}
_CHOICES = {
    "baseline_reference": ("0", "1"),
    "time_origin_location": ("upper_left", "lower_left"),
    "storage_mode": ("one_array_q_first", "one_array_q_last", "data_exchange_keys"),
}


@dataclass(frozen=True)
class _NexusMatrix(StoredMatrix):
    """A matrix, converted as its attributes of baseline and origin ask."""

    baseline: int = 1
    from_below: bool = False

    def read(self, window: slice) -> np.ndarray:
        """Rows and columns of a window of frames, from the upper left."""
        if self.from_below:
            block = _upright(super().read(slice(None)))[window, window]
        else:
            block = super().read(window)
        return block if self.baseline else raise_baseline(block)


def _upright(block: np.ndarray) -> np.ndarray:
    """Reverse rows that are counted from below; keep them where the attribute described only a picture of the matrix.

    Of the two, the one that is a half or a symmetric matrix is right. Without noise both may be; then the right one has the
    larger values next to the diagonal.
    """
    ways = [way for way in (block[::-1], block) if _is_two_time(way)] or [block[::-1]]
    return max(ways, key=lambda way: np.nansum(np.diagonal(way, 1)) + np.nansum(np.diagonal(way, -1)))


def _is_two_time(block: np.ndarray) -> bool:
    try:
        complete_matrix(block, "")
    except InputError:
        return False
    return True


def _catalogue(file: File) -> Catalogue:
    path = NXXPCS["matrices"]
    stated = {name: str(value) for name, value in read_attributes(file, path).items() if name in _CHOICES}
    for name, choices in _CHOICES.items():
        if stated.get(name) not in choices:
            raise InputError(
                f"the attribute {name} of {path} is {stated.get(name)!r}; NXxpcs needs one of {', '.join(choices)}."
            )
    options = (int(stated["baseline_reference"]), stated["time_origin_location"] == "lower_left")
    if stated["storage_mode"] == "data_exchange_keys":
        names = numbered_names(file, path, "(?:.*[^0-9])?", "g2_00001").values()
        matrices = [_NexusMatrix(file, f"{path}/{name}", (), (), *options) for name in names]
    else:
        first = stated["storage_mode"] == "one_array_q_first"
        shape = get_dataset(file, path).shape
        if len(shape) != 3:
            raise InputError(f"{path} has the shape {shape}; {stated['storage_mode']} has three axes.")
        places = [(k,) for k in range(shape[0 if first else -1])]
        matrices = [_NexusMatrix(file, path, k if first else (), () if first else k, *options) for k in places]
    q, phi = (read_numbers(file, NXXPCS[quantity]) for quantity in ("q", "phi"))
    if not len(matrices) == q.size == phi.size:
        raise InputError(
            f"{path} holds {len(matrices)} matrices, {NXXPCS['q']} lists {q.size} q and {NXXPCS['phi']} {phi.size} phi, so "
            "it is unknown which belongs to which; give each matrix its q and phi."
        )
    # The definition asks for a unit of wavevectors at the angles too, which are in degrees then.
    of_phi = _unit(file, "phi")
    phi = phi if is_unit_of("q", of_phi) else factor_of("phi", of_phi) * phi
    return Catalogue(matrices, factor_of("q", _unit(file, "q")) * q, phi, _frame_time(file))


def _unit(file: File, quantity: str) -> str:
    return str(read_attributes(file, NXXPCS[quantity]).get("units", ""))


def _frame_time(file: File) -> float | None:
    """Time between frames [s]; None where the file states none in a unit that is known."""
    stated = stated_number(file, NXXPCS["frame_time"])
    if stated is None:
        return None
    unit = _unit(file, "frame_time")
    return None if unit and not is_unit_of("frame_time", unit) else factor_of("frame_time", unit) * stated


LAYOUT = Layout("nxxpcs", (NXXPCS["matrices"], NXXPCS["q"], NXXPCS["phi"]), _catalogue)
