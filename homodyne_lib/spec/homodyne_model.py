"""One experiment ready to compute: factors and time grids made once, c2 and heat maps on demand."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from homodyne_lib.io.files import replacing
from homodyne_lib.model.backend import as_arrays
from homodyne_lib.model.parameters import ANALYSIS_MODES
from homodyne_lib.spec.jax_backend import compute_g2_scaled_with_factors, get_cached_meshgrid
from homodyne_lib.spec.models import CombinedModel
from homodyne_lib.spec.physics_factors import create_physics_factors_from_config_dict

__all__ = ["HomodyneModel", "determine_analysis_mode"]


class HomodyneModel:
    """The model on the frames of one experiment (spec section 10).

    Parameters
    ----------
    config : mapping
        ``analyzer_parameters`` with ``temporal`` (``dt`` [s], ``start_frame``, ``end_frame``, both
        inclusive), ``scattering.wavevector_q`` [1/Å] and ``geometry.stator_rotor_gap`` [Å]. Optional:
        ``analysis_mode``, and ``analysis_settings`` with ``static_mode``, ``isotropic_mode`` and
        ``shear_convention`` (``spec`` or ``published``).

    Attributes
    ----------
    physics_factors : PhysicsFactors
    time_array : array, shape (n_time,)
        Times from the first selected frame [s], starting at 0.
    t1_grid, t2_grid : array, shape (n_time, n_time)
        [s], ``indexing="ij"``.
    model : CombinedModel
    dt, wavevector_q, stator_rotor_gap : float
        [s], [1/Å], [Å]
    analysis_mode : str
    start_frame, end_frame, n_time : int

    Raises
    ------
    ValueError
        If a key is missing, ``end_frame`` is not resolved (negative) or before ``start_frame``, a value is
        impossible, or mode or convention do not exist.
    TypeError
        If a frame is not an integer, or a switch not true or false.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.physics_factors = create_physics_factors_from_config_dict(config)
        self.dt = self.physics_factors.dt
        self.wavevector_q = self.physics_factors.wavevector_q
        self.stator_rotor_gap = self.physics_factors.stator_rotor_gap
        self.start_frame, self.end_frame = _frames(config)
        self.n_time = self.end_frame - self.start_frame + 1
        self.analysis_mode = determine_analysis_mode(config)
        self.model = CombinedModel(
            self.analysis_mode, (config.get("analysis_settings") or {}).get("shear_convention", "spec")
        )
        (self.time_array,) = as_arrays(self.dt * np.arange(self.n_time))
        self.t1_grid, self.t2_grid = get_cached_meshgrid(self.time_array, self.time_array)

    def compute_c2(self, params, phi_angles, contrast=0.5, offset=1.0) -> np.ndarray:
        """Compute the two-time correlation of every pair of frames at every angle.

        Parameters
        ----------
        params : array_like, shape (3,) or (7,)
            In the order and units of the parameter table.
        phi_angles : array_like, shape (n_phi,)
            [deg]
        contrast, offset : float or array_like, shape (n_phi,)

        Returns
        -------
        ndarray, shape (n_phi, n_time, n_time)

        Raises
        ------
        ValueError
            For a wrong number of parameters, or another number of contrasts or offsets than angles.
        """
        c2 = compute_g2_scaled_with_factors(
            self.model.as_parameters(params),
            self.t1_grid,
            self.t2_grid,
            phi_angles,
            *self.physics_factors.to_tuple(),
            contrast,
            offset,
            self.dt,
            self.model.shear_convention,
        )
        return np.array(c2)

    def compute_c2_single_angle(self, params, phi: float, contrast=0.5, offset=1.0) -> np.ndarray:
        """Compute c2 at one angle phi [deg]: shape (n_time, n_time); otherwise as :meth:`compute_c2`."""
        return self.compute_c2(params, np.array([phi]), contrast, offset)[0]

    def plot_simulated_data(
        self, params, phi_angles, output_dir="./simulated_data", contrast=0.5, offset=1.0, generate_plots=True
    ) -> tuple[np.ndarray, Path]:
        """Compute c2, save it, and draw a heat map of each angle.

        Parameters
        ----------
        params, phi_angles, contrast, offset
            As :meth:`compute_c2`.
        output_dir : path-like
            Made where missing; receives ``simulated_c2.npz`` and ``simulated_c2_NNN.png``, NNN counting
            angles from 000.
        generate_plots : bool

        Returns
        -------
        c2 : ndarray, shape (n_phi, n_time, n_time)
        output_path : Path
            The NPZ file: ``c2``, ``time`` [s], ``phi`` [deg], ``params``, ``parameter_names``,
            ``contrast``, ``offset``, ``wavevector_q`` [1/Å], ``stator_rotor_gap`` [Å], ``dt`` [s]; no
            pickles.

        Raises
        ------
        ValueError
            As :meth:`compute_c2`.
        OSError
            If the folder cannot be written.
        """
        c2 = self.compute_c2(params, phi_angles, contrast, offset)
        phi = np.atleast_1d(np.asarray(phi_angles, dtype=float))
        folder = Path(output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            "c2": c2,
            "time": np.asarray(self.time_array),
            "phi": phi,
            "params": np.asarray(params, dtype=float),
            "parameter_names": np.array(self.model.parameter_names),
            "contrast": np.asarray(contrast, dtype=float),
            "offset": np.asarray(offset, dtype=float),
            "wavevector_q": np.array(self.wavevector_q),
            "stator_rotor_gap": np.array(self.stator_rotor_gap),
            "dt": np.array(self.dt),
        }
        output_path = folder / "simulated_c2.npz"
        with replacing(output_path) as temporary:
            np.savez(temporary, **arrays)
        if generate_plots:
            limits = float(c2.min()), float(c2.max())
            for k, angle in enumerate(phi):
                figure = _heat_map(c2[k], self.dt, f"φ = {angle:g}°", limits)
                with replacing(folder / f"simulated_c2_{k:03d}.png") as temporary:
                    figure.savefig(temporary)
        return c2, output_path


def determine_analysis_mode(config: Mapping[str, Any]) -> str:
    """Find the analysis mode of a configuration (spec section 10).

    ``analysis_settings.static_mode`` (with ``isotropic_mode``) decides where it is given; else the word in
    ``analysis_mode``, in which ``static``, ``isotropic``, ``anisotropic`` or ``laminar`` are recognised;
    else the mode is ``laminar_flow``.

    Parameters
    ----------
    config : mapping

    Returns
    -------
    str
        One of :data:`~homodyne_lib.model.parameters.ANALYSIS_MODES`.

    Raises
    ------
    ValueError
        If the word says nothing, or two things.
    TypeError
        If a switch is not true or false.

    Warns
    -----
    UserWarning
        If switch and word disagree about a static model.
    """
    settings = config.get("analysis_settings") or {}
    word = _mode_of_word(config["analysis_mode"]) if "analysis_mode" in config else None
    if "static_mode" not in settings:
        return word or "laminar_flow"
    for key in ("static_mode", "isotropic_mode"):
        if not isinstance(settings.get(key, False), bool):
            raise TypeError(f"analysis_settings.{key} is {settings[key]!r}; set it to true or false.")
    mode = "laminar_flow"
    if settings["static_mode"]:
        mode = "static_isotropic" if settings.get("isotropic_mode", False) else "static_anisotropic"
    if word is not None and word.startswith("static") != mode.startswith("static"):
        warnings.warn(
            f"analysis_settings.static_mode is {settings['static_mode']} but analysis_mode is "
            f"{config['analysis_mode']!r}; the first decides: {mode}. Remove one of them.",
            UserWarning,
            stacklevel=2,
        )
    return mode


def _mode_of_word(word: Any) -> str:
    text = str(word).lower()
    is_laminar, is_static = "laminar" in text, "static" in text or "isotropic" in text
    if is_laminar == is_static:
        raise ValueError(
            f"analysis_mode {word!r} names {'no' if not is_laminar else 'more than one'} mode; choose one of "
            f"{', '.join(ANALYSIS_MODES)}."
        )
    if is_laminar:
        return "laminar_flow"
    if "anisotropic" in text:
        return "static_anisotropic"
    return "static_isotropic" if "isotropic" in text else "static"


def _frames(config: Mapping[str, Any]) -> tuple[int, int]:
    temporal = config["analyzer_parameters"]["temporal"]
    for key in ("start_frame", "end_frame"):
        if key not in temporal:
            raise ValueError(
                f"the configuration has no analyzer_parameters.temporal.{key}; add it, there is no default."
            )
        if isinstance(temporal[key], bool) or not isinstance(temporal[key], (int, np.integer)):
            raise TypeError(f"analyzer_parameters.temporal.{key} is {temporal[key]!r}; frames are integers.")
    start, end = int(temporal["start_frame"]), int(temporal["end_frame"])
    if end < 0:
        raise ValueError(
            f"end_frame = {end} means the last frame of a file, which HomodyneModel does not see; end_frame "
            "must be resolved before its construction: give the number of that frame."
        )
    if not 0 <= start <= end:
        raise ValueError(f"start_frame = {start} and end_frame = {end}: frames must count up from 0 or 1.")
    return start, end


def _heat_map(c2: np.ndarray, dt: float, title: str, limits: tuple[float, float]):
    # Matplotlib is needed here alone, and without pyplot, which keeps state and picks a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0, 4.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    edges = (-0.5 * dt, (len(c2) - 0.5) * dt)
    image = axes.imshow(c2, origin="lower", extent=(*edges, *edges), vmin=limits[0], vmax=limits[1], cmap="viridis")
    axes.set(xlabel="$t_2$ [s]", ylabel="$t_1$ [s]", title=title)
    figure.colorbar(image, ax=axes, label="$c_2$")
    return figure
