"""Records to analyse: of a file, or of a simulation."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import chain
from math import inf

import numpy as np

from homodyne_lib.interface.settings import (
    Convention,
    Correction,
    Progress,
    check_choice,
    check_geometry,
    check_number,
    check_pairs,
    check_values,
    check_whole,
    silent,
)
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.wavevectors import Wavevectors
from homodyne_lib.model.parameters import check_bounds
from homodyne_lib.steps.diagonal import with_diagonal
from homodyne_lib.steps.ingested import ingested, with_noise
from homodyne_lib.steps.simulated import simulated

__all__ = ["load", "simulate"]


def load(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    q: Wavevectors,
    dt: float,
    q_tolerance: float = 0.02,
    phi_ranges: Sequence[tuple[float, float]] = (),
    start_frame: int = 1,
    end_frame: int = -1,
    bad_frames: Sequence[tuple[int, int]] = (),
    stator_rotor_gap: float | None = None,
    format: str = "auto",
    diagonal: Correction = "basic",
) -> Correlations:
    """Read two-time correlations of any layout, estimate their noise, and replace their diagonal.

    Parameters
    ----------
    path : path-like or sequence of path-like
        The file, or files of repeats.
    q : float or sequence of float or (float, float)
        Wanted wavevectors, and ranges of them; all are fitted together [1/Å].
    dt : float
        Time between consecutive frames [s].
    q_tolerance : float
        Largest relative distance of a bin's q from it.
    phi_ranges : sequence of (float, float)
        Wanted angles; all without any [deg].
    start_frame, end_frame : int
        First and last frame, inclusive, counted from 1; -1 is the last.
    bad_frames : sequence of (int, int)
        First and last frame of each range to leave out.
    stator_rotor_gap : float, optional
        Gap of the shear cell; a fit of a flow needs it [Å].
    format : str
        Layout of the file.
    diagonal : {"basic", "statistical", "interpolation"}
        How the diagonal is replaced, for display; no fit uses it.

    Returns
    -------
    Correlations

    Raises
    ------
    ValueError
        When the file, the selection or the values cannot be used.
    """
    if not isinstance(path, (str, os.PathLike, Sequence)):
        raise ValueError(f"path is {path!r}; give the file, or files of repeats.")
    check_geometry(q, dt, stator_rotor_gap)
    if q_tolerance != 0:
        check_number(0.0, 1.0, q_tolerance=q_tolerance)
    check_pairs(phi_ranges=phi_ranges, bad_frames=bad_frames)
    for frame in chain.from_iterable(bad_frames):
        check_whole(1, bad_frames=frame)
    check_whole(1, start_frame=start_frame)
    check_whole(-1, end_frame=end_frame)
    check_choice("diagonal", diagonal, Correction)
    if not isinstance(path, (str, os.PathLike)) and not len(path):
        raise ValueError("path is an empty list; give the file, or files of repeats.")
    record = ingested(
        path,
        format=format,
        wavevector_q=q,
        q_tolerance=q_tolerance,
        phi_ranges=phi_ranges,
        dt=dt,
        start_frame=start_frame,
        end_frame=end_frame,
        bad_frames=bad_frames,
        stator_rotor_gap=stator_rotor_gap,
    )
    return with_diagonal(record, diagonal)


def simulate(
    parameters: Mapping[str, float],
    phi: Sequence[float],
    *,
    q: float | Sequence[float],
    dt: float,
    n_frames: int,
    pixels: int,
    modes: int,
    counts: float | None = None,
    seed: int = 1,
    stator_rotor_gap: float | None = None,
    shear_convention: Convention = "spec",
    diagonal: Correction = "basic",
    progress: Progress = silent,
) -> Correlations:
    """Simulate the speckles of a sample with known parameters, and prepare them as :func:`load` does.

    Parameters
    ----------
    parameters : mapping of str to float
        D0, alpha, D_offset; for a flow also gamma_dot_t0, beta, gamma_dot_t_offset, phi0 [units of the parameter table].
    phi : sequence of float
        [deg]
    q : float or sequence of float
        [1/Å]
    dt : float
        [s]
    n_frames, pixels, modes : int
        Frames, pixels a bin, independent fields a pixel (contrast 1/modes).
    counts : float, optional
        Mean photons a pixel and frame; none for noiseless intensities.
    seed : int
    stator_rotor_gap : float, optional
        A flow needs it [Å].
    shear_convention : {"spec", "published"}
    diagonal : {"basic", "statistical", "interpolation"}
    progress : callable

    Returns
    -------
    Correlations

    Raises
    ------
    ValueError
        If parameters are no set of a model, a value cannot be used, or the gap is missing.
    """
    check_geometry(q, dt, stator_rotor_gap, ranges=False)
    check_values(parameters=parameters)
    check_bounds(parameters)
    check_whole(1, pixels=pixels, modes=modes, n_frames=n_frames)
    check_whole(0, seed=seed)
    check_choice("diagonal", diagonal, Correction)
    if counts is not None:
        check_number(0.0, inf, counts=counts)
    if not np.size(phi):
        raise ValueError("phi is empty; give an angle or several [deg].")
    record = simulated(
        parameters,
        phi,
        analysis_mode="laminar_flow" if "gamma_dot_t0" in parameters else "static",
        q=q,
        dt=dt,
        n_frames=n_frames,
        pixels=pixels,
        modes=modes,
        counts=counts,
        seed=seed,
        stator_rotor_gap=stator_rotor_gap,
        shear_convention=shear_convention,
        progress=progress,
    )
    return with_diagonal(with_noise(record), diagonal)
