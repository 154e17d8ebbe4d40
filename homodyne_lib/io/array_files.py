"""Write NumPy arrays of c2 from any program to a file that the workflow reads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from homodyne_lib.io.input_files import InputError

__all__ = ["write_c2"]


def write_c2(
    path: str | os.PathLike,
    c2: ArrayLike,
    *,
    phi: ArrayLike,
    q: ArrayLike,
    dt: float,
    stator_rotor_gap: float | None = None,
    frames: ArrayLike | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write two-time correlations of one wavevector or several to a file that the workflow reads.

    Parameters
    ----------
    path : path-like
        File to write or replace; its folder must exist.
    c2 : array-like
        Matrices with a baseline of 1, shape (n_phi, n_t, n_t) or, for one angle, (n_t, n_t): symmetric, or one half with the
        diagonal and 0 in the other half.  The diagonal may be raw or replaced [1].
    phi : array-like
        Angle of each matrix, in any order, shape (n_phi,); any number for a ring at rest [deg].
    q : float or array-like
        Wavevector, of all matrices or of each, shape (n_phi,) [1/Å].
    dt : float
        Time between neighbouring rows [s].
    stator_rotor_gap : float, optional
        Gap of the shear cell [Å].
    frames : array-like, optional
        1-based frame numbers of the rows, shape (n_t,); 1 to n_t by default.
    notes : sequence of str
        Sentences that a reader of the results should know.

    Raises
    ------
    InputError
        When shapes disagree, an angle stands twice at one q, a matrix is neither symmetric nor a half, or a value cannot
        be used.
    """
    # Imported here, so that the package, which exports this function, can be imported without h5py.
    from homodyne_lib.io.bin_selection import normalise_phi
    from homodyne_lib.io.canonical_file import write_correlations
    from homodyne_lib.io.completion import check_values, complete_matrix, filled_diagonals, value_notes
    from homodyne_lib.io.correlations import Correlations

    for name, value in (("dt", dt), ("stator_rotor_gap", 1.0 if stator_rotor_gap is None else stator_rotor_gap)):
        if not isinstance(value, Real):
            raise InputError(f"{name} is {value!r}; give a number.")
    if Path(path).is_dir():
        raise InputError(f"{path} is a folder; give the file to write.")
    if isinstance(c2, np.ma.MaskedArray) and np.any(c2.mask):
        raise InputError("c2 has masked entries; leave out their frames, and give the numbers of the others in frames.")
    stack, angles = np.asarray(c2), np.atleast_1d(np.asarray(phi, dtype=np.float64))
    stack = stack[None] if stack.ndim == 2 else stack
    if stack.ndim != 3 or stack.shape[1] != stack.shape[2] or stack.dtype.kind not in "iuf" or min(stack.shape) < 1:
        raise InputError(
            f"c2 has the shape {np.shape(c2)} and the type {stack.dtype}; give real numbers (n_phi, n_t, n_t) or (n_t, n_t)."
        )
    angles = normalise_phi(angles)
    if angles.shape != stack.shape[:1] or np.isnan(angles).any():
        raise InputError(
            f"phi is {phi}; give one finite angle in degrees for each of the {len(stack)} matrices of c2, "
            "of at most ten turns."
        )
    wavevectors = np.asarray(q, dtype=np.float64)
    if wavevectors.shape not in ((), angles.shape):
        raise InputError(
            f"q has the shape {wavevectors.shape}; give one number, or one for each of {len(stack)} matrices."
        )
    wavevectors = np.broadcast_to(wavevectors, angles.shape)
    order = np.lexsort((angles, wavevectors))
    same = (np.diff(angles[order]) == 0) & (np.diff(wavevectors[order]) == 0)
    if same.any():
        raise InputError(
            f"phi lists {angles[order][:-1][same][0]:g} deg twice; write one matrix for each angle, and say in q where they "
            "differ in it."
        )
    full = np.stack([complete_matrix(stack[k], f"c2[{k}]") for k in order])
    full = full.astype(np.result_type(np.float32, stack.dtype), copy=False)
    numbers = np.arange(1, full.shape[1] + 1) if frames is None else np.asarray(frames)
    if numbers.dtype.kind not in "iu":
        raise InputError(f"frames has the type {numbers.dtype}; give whole numbers.")
    record = Correlations(
        c2=full,
        raw_diagonal=filled_diagonals(full, numbers),
        phi=angles[order],
        q=wavevectors[order],
        dt=float(dt),
        frames=numbers.astype(np.int64),
        stator_rotor_gap=None if stator_rotor_gap is None else float(stator_rotor_gap),
        sigma=None,
        source="arrays of write_c2",
        source_sha256=hashlib.sha256(full.tobytes()).hexdigest(),
        notes=(notes,) if isinstance(notes, str) else tuple(notes),
    )
    check_values(record)
    write_correlations(path, replace(record, notes=record.notes + value_notes(record)))
