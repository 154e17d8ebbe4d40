"""The model classes of the specification: their parameters are the table's, their physics is the kernels'."""

from __future__ import annotations

from abc import ABC, abstractmethod

from homodyne_lib.model.backend import array_namespace, as_arrays
from homodyne_lib.model.evaluation import compute_g1_total_points
from homodyne_lib.model.kernels import get_shear_convention
from homodyne_lib.model.parameters import ANALYSIS_MODES, PARAMETERS, is_static, parameter_names
from homodyne_lib.spec import jax_backend
from homodyne_lib.spec.model_mixins import BenchmarkingMixin, GradientCapabilityMixin, OptimizationRecommendationMixin
from homodyne_lib.spec.physics import validate_parameters

__all__ = ["CombinedModel", "DiffusionModel", "PhysicsModelBase", "ShearModel", "create_model", "get_available_models"]


class PhysicsModelBase(ABC):
    """A model of g1 whose parameters are rows of the parameter table (spec section 3).

    Parameters
    ----------
    name : str
    parameter_names : list of str
        In the order of the parameter vector.

    Raises
    ------
    ValueError
        If the parameter table has no such row.
    """

    def __init__(self, name: str, parameter_names: list[str]) -> None:
        unknown = [p for p in parameter_names if p not in PARAMETERS]
        if unknown:
            raise ValueError(f"the parameter table has no {', '.join(unknown)}; it has {', '.join(PARAMETERS)}.")
        self.name = name
        self.parameter_names = list(parameter_names)

    @abstractmethod
    def compute_g1(self, params, t1, t2, phi, q, L, dt):
        """Compute g1 on the mesh of two time vectors.

        Parameters
        ----------
        params : array_like, shape (n_params,)
            In the order of ``parameter_names`` and the units of the parameter table.
        t1, t2 : array_like, shape (n1,), (n2,) or both (n1, n2)
            Times [s], dt apart.
        phi : array_like, shape (n_phi,)
            [deg]
        q, L, dt : float
            [1/Å], [Å], [s]

        Returns
        -------
        array
            (n1, n2) for diffusion alone, which has no angle; (n_phi, n1, n2) with shear.

        Raises
        ------
        ValueError
            For a wrong number of parameters, shape, q or L, dt missing, or a time that is not on a frame.
        """

    def get_parameter_bounds(self) -> list[tuple[float, float]]:
        """Return (lower, upper) of each parameter, in the units of the parameter table."""
        return [(PARAMETERS[name].lower, PARAMETERS[name].upper) for name in self.parameter_names]

    def get_default_parameters(self):
        """Return the starting values, shape (n_params,), as an array of the selected backend."""
        return as_arrays([PARAMETERS[name].default for name in self.parameter_names])[0]

    def validate_parameters(self, params) -> bool:
        """Whether all parameters are finite and within their bounds."""
        return validate_parameters(params, self.get_parameter_bounds())

    def get_parameter_dict(self, params) -> dict[str, float]:
        """Name each value of a parameter vector; argument and errors as :meth:`as_parameters`."""
        values = self.as_parameters(params)
        return {name: float(value) for name, value in zip(self.parameter_names, values, strict=True)}

    def as_parameters(self, params):
        """Convert a parameter vector to an array of the selected backend and check its length.

        Parameters
        ----------
        params : array_like, shape (n_params,)

        Returns
        -------
        array, shape (n_params,)

        Raises
        ------
        ValueError
            For another number of parameters.
        """
        (params,) = as_arrays(params)
        if params.shape != (len(self.parameter_names),):
            raise ValueError(
                f"{self.name} takes a vector of {len(self.parameter_names)} parameters "
                f"({', '.join(self.parameter_names)}); found shape {tuple(params.shape)}."
            )
        return params


class DiffusionModel(PhysicsModelBase):
    """Anomalous diffusion, 3 parameters (spec section 3)."""

    def __init__(self) -> None:
        super().__init__("anomalous_diffusion", parameter_names("diffusion"))

    def compute_g1(self, params, t1, t2, phi, q, L, dt):  # noqa: D102
        return jax_backend.compute_g1_diffusion(self.as_parameters(params), t1, t2, q, dt)


class ShearModel(PhysicsModelBase):
    """Time-dependent shear, 4 parameters (spec section 3).

    Parameters
    ----------
    shear_convention : {"spec", "published"}

    Raises
    ------
    ValueError
        For an unknown convention.
    """

    def __init__(self, shear_convention: str = "spec") -> None:
        super().__init__("time_dependent_shear", parameter_names("shear"))
        get_shear_convention(shear_convention)
        self.shear_convention = shear_convention

    def compute_g1(self, params, t1, t2, phi, q, L, dt):  # noqa: D102
        params = self.as_parameters(params)
        xp = array_namespace(params)
        # The kernel reads the shear part of a full vector; the diffusion part in front of it has no effect.
        full = xp.concatenate([DiffusionModel().get_default_parameters(), params])
        return jax_backend.compute_g1_shear(full, t1, t2, phi, q, L, dt, self.shear_convention)


class CombinedModel(PhysicsModelBase, GradientCapabilityMixin, BenchmarkingMixin, OptimizationRecommendationMixin):
    """Diffusion, and shear where the mode has it: the model that is fitted (spec section 3).

    Parameters
    ----------
    analysis_mode : str
        One of :data:`~homodyne_lib.model.parameters.ANALYSIS_MODES`; the three static modes differ in how data are
        pooled, not in physics.
    shear_convention : {"spec", "published"}

    Raises
    ------
    ValueError
        For an unknown mode or convention.
    """

    def __init__(self, analysis_mode: str = "laminar_flow", shear_convention: str = "spec") -> None:
        self.is_static = is_static(analysis_mode)
        self.analysis_mode = analysis_mode
        self.diffusion_model = DiffusionModel()
        self.shear_model = ShearModel(shear_convention)
        self.shear_convention = shear_convention
        super().__init__(
            "static_diffusion" if self.is_static else "laminar_flow_complete", parameter_names(analysis_mode)
        )

    def compute_g1(self, params, t1, t2, phi, q, L, dt):  # noqa: D102
        params = self.as_parameters(params)
        if self.is_static:
            return self.diffusion_model.compute_g1(params, t1, t2, phi, q, L, dt)
        return jax_backend.compute_g1_total(params, t1, t2, phi, q, L, dt, self.shear_convention)

    def compute_g1_batch(self, params, t1_batch, t2_batch, phi_batch, q, L, dt):
        """Compute g1 of paired points: value k belongs to (t1_batch[k], t2_batch[k], phi_batch[k]).

        Parameters
        ----------
        params, q, L, dt
            As :meth:`compute_g1`.
        t1_batch, t2_batch : array_like, shape (N,)
            Times [s] on frames dt apart, from t = 0.
        phi_batch : float or array_like, shape (N,)
            [deg]

        Returns
        -------
        array, shape (N,)

        Raises
        ------
        ValueError, TypeError
            As :meth:`compute_g1`.
        """
        return compute_g1_total_points(
            self.as_parameters(params), t1_batch, t2_batch, phi_batch, q, L, dt, self.shear_convention
        )

    def compute_g2(self, params, t1, t2, phi, q, L, contrast, offset, dt):
        """Compute g2 = offset + contrast g1² on the mesh.

        Parameters
        ----------
        params, t1, t2, phi, q, L, dt
            As :meth:`compute_g1`.
        contrast, offset : float or array_like, shape (n_phi,)

        Returns
        -------
        array, shape (n_phi, n1, n2)

        Raises
        ------
        ValueError, TypeError
            As :meth:`compute_g1`.
        """
        params = self.as_parameters(params)
        return jax_backend.compute_g2_scaled(params, t1, t2, phi, q, L, contrast, offset, dt, self.shear_convention)

    def compute_chi_squared(self, params, data, sigma, t1, t2, phi, q, L, contrast, offset, dt):
        """Compute χ² = Σ((data - g2)/σ)² over every entry given.

        Parameters
        ----------
        params, t1, t2, phi, q, L, contrast, offset, dt
            As :meth:`compute_g2`.
        data : array_like, shape (n_phi, n1, n2)
        sigma : float or array_like, broadcastable to ``data``
            Noise of one entry; infinite where an entry shall not count.

        Returns
        -------
        array, shape ()

        Raises
        ------
        ValueError, TypeError
            As :meth:`compute_g1`; also when data and model differ in shape.
        """
        params = self.as_parameters(params)
        return jax_backend.compute_chi_squared(
            params, data, sigma, t1, t2, phi, q, L, contrast, offset, dt, self.shear_convention
        )


def create_model(analysis_mode: str, shear_convention: str = "spec") -> CombinedModel:
    """Make the model of an analysis mode (spec section 3).

    Parameters
    ----------
    analysis_mode : str
        One of :func:`get_available_models`.
    shear_convention : {"spec", "published"}

    Returns
    -------
    CombinedModel

    Raises
    ------
    ValueError
        For an unknown mode or convention.
    """
    return CombinedModel(analysis_mode, shear_convention)


def get_available_models() -> list[str]:
    """Return the analysis modes that :func:`create_model` takes."""
    return list(ANALYSIS_MODES)
