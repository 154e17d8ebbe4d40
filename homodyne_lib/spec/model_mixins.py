"""What a model can say about itself: its derivatives, their cost and accuracy, and what to mind in a fit.

The mixins are for :class:`~homodyne_lib.spec.models.CombinedModel`; they use its names, mode, convention and
``compute_g2``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from homodyne_lib.model.parameters import PARAMETERS
from homodyne_lib.spec.backend_api import get_device_info, select_physics_backend
from homodyne_lib.spec.jax_backend import gradient_g2, hessian_g2
from homodyne_lib.spec.numpy_gradients import GRADIENT_METHODS, GradientConfig, numpy_gradient

__all__ = ["BenchmarkingMixin", "GradientCapabilityMixin", "GradientProblem", "OptimizationRecommendationMixin"]

_MIN_ANGLES = 3  # distinct angles that fix the shear amplitude and phi0 (|cos| has period 180°)


class GradientProblem(NamedTuple):
    """Where derivatives of g2 are timed and checked: the arguments of ``compute_g2``, in its order.

    The defaults are the worked example of the spec: 32 frames, 0.1 s apart, at three angles.
    """

    params: Any
    t1: Any = 0.1 * np.arange(32)
    t2: Any = 0.1 * np.arange(32)
    phi: Any = (0.0, 45.0, 90.0)
    q: float = 0.01
    L: float = 2e6
    contrast: float = 0.5
    offset: float = 1.0
    dt: float = 0.1


class GradientCapabilityMixin:
    """Which derivatives of g2 a model has (spec section 9)."""

    def get_gradient_function(self) -> Callable:
        """Return the Jacobian of g2: arguments as ``compute_g2``, result of shape (n_phi, n1, n2, n_params).

        Automatic with JAX, numerical without; the choice is made at each call.
        """
        return partial(gradient_g2, shear_convention=self.shear_convention)

    def get_hessian_function(self) -> Callable:
        """Return the second derivatives of g2: shape (n_phi, n1, n2, n_params, n_params)."""
        return partial(hessian_g2, shear_convention=self.shear_convention)

    def supports_gradients(self) -> bool:
        """Whether derivatives can be had: always, as the numerical ones need nothing but the model."""
        return self.get_best_gradient_method() != "none_available"

    def get_best_gradient_method(self) -> str:
        """Return ``"jax_native"`` or ``"numpy_fallback"``, after the selected backend.

        The spec's third answer, ``"none_available"``, does not occur.
        """
        return "jax_native" if select_physics_backend() == "jax" else "numpy_fallback"


class BenchmarkingMixin:
    """What derivatives cost and how right they are, measured (spec section 9)."""

    def benchmark_gradient_performance(
        self, problem: GradientProblem | None = None, n_repeats: int = 3
    ) -> dict[str, Any]:
        """Time g2 and its Jacobian by every method.

        Parameters
        ----------
        problem : GradientProblem, optional
            The default parameters in the spec's worked example without it.
        n_repeats : int
            Calls of each function after the first; the fastest counts.

        Returns
        -------
        dict
            ``backend``; ``n_points``; ``n_parameters``; ``function_seconds``; ``gradient_seconds`` {method: [s]}, with
            ``automatic`` where JAX computes; ``fastest``. Compilation is not counted.

        Raises
        ------
        ValueError
            If n_repeats is below 1.
        """
        if n_repeats < 1:
            raise ValueError(f"n_repeats = {n_repeats}: at least one call must be timed.")
        problem = problem or GradientProblem(self.get_default_parameters())
        seconds = {name: _time(gradient, problem, n_repeats) for name, gradient in self._gradients().items()}
        return {
            "backend": select_physics_backend(),
            "n_points": int(np.asarray(self.compute_g2(*problem)).size),
            "n_parameters": len(self.parameter_names),
            "function_seconds": _time(self.compute_g2, problem, n_repeats),
            "gradient_seconds": seconds,
            "fastest": min(seconds, key=seconds.__getitem__),
        }

    def validate_gradient_accuracy(self, problem: GradientProblem | None = None, rtol: float = 1e-6) -> dict[str, Any]:
        """Compare the Jacobian of g2 that the model hands out with numerical ones.

        Parameters
        ----------
        problem : GradientProblem, optional
            The default parameters in the spec's worked example without it.
        rtol : float
            Largest difference allowed, relative to the largest derivative by the same parameter.

        Returns
        -------
        dict
            ``method`` checked; ``finite``; ``differences`` {``complex_step``, ``richardson``: {parameter:
            difference}}; ``valid``; ``verdict``, a sentence.
        """
        problem = problem or GradientProblem(self.get_default_parameters())
        gradients = self._gradients()
        method = "automatic" if "automatic" in gradients else "adaptive"
        checked = np.asarray(gradients[method](*problem))
        differences = {}
        for name in ("complex_step", "richardson"):
            values = _differences(checked, gradients[name](*problem))
            differences[name] = dict(zip(self.parameter_names, values, strict=True))
        worst, parameter, against = max((d, p, m) for m, row in differences.items() for p, d in row.items())
        finite = bool(np.all(np.isfinite(checked)))
        valid = finite and worst <= rtol
        verdict = (
            f"The {method} gradient is {'finite' if finite else 'not finite'}; its largest difference is "
            f"{worst:.1e}, by {parameter} against {against}; {rtol:.1e} is allowed."
        )
        return {"method": method, "finite": finite, "differences": differences, "valid": valid, "verdict": verdict}

    def _gradients(self) -> dict[str, Callable]:
        gradients = {m: numpy_gradient(self.compute_g2, config=GradientConfig(m)) for m in GRADIENT_METHODS}
        if select_physics_backend() == "jax":
            gradients["automatic"] = self.get_gradient_function()
        return gradients


def _time(func: Callable, problem: GradientProblem, n_repeats: int) -> float:
    seconds = []
    for _ in range(1 + n_repeats):
        started = time.perf_counter()
        np.asarray(func(*problem))  # JAX computes asynchronously; the conversion waits
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def _differences(checked, reference) -> list[float]:
    checked, reference = (np.asarray(a).reshape(-1, np.shape(a)[-1]) for a in (checked, reference))
    largest = np.max(np.abs(reference), axis=0)
    return (np.max(np.abs(checked - reference), axis=0) / np.where(largest > 0, largest, 1.0)).tolist()


class OptimizationRecommendationMixin:
    """What to mind when the model is fitted, from the facts of model, backend and data (spec section 9)."""

    def get_optimization_recommendations(self, n_phi: int | None = None, n_frames: int | None = None) -> list[str]:
        """Say what follows from mode, backend and data size.

        Parameters
        ----------
        n_phi, n_frames : int, optional
            Distinct angles and frames of the data, as far as they are known.

        Returns
        -------
        list of str
            One sentence each.
        """
        n = len(self.parameter_names)
        logarithmic = ", ".join(p for p in self.parameter_names if PARAMETERS[p].logarithmic)
        sentences = [
            f"There are {n} physical parameters; search {logarithmic} on a logarithmic scale.",
            "Start off alpha = 0: there D0 and D_offset are one parameter.",
            "Gradients are automatic: least squares with the exact Jacobian, and NUTS, can be used."
            if self.get_best_gradient_method() == "jax_native"
            else "Gradients are numerical: least squares can be used, NUTS cannot; it needs jax.",
        ]
        if self.is_static:
            sentences.append("The model has no angle: all angles share one g1, and L has no effect.")
        else:
            sentences.append("Start off beta = 0: there gamma_dot_t0 and gamma_dot_t_offset are one parameter.")
            if n_phi is not None and n_phi < _MIN_ANGLES:
                sentences.append(
                    f"{n_phi} distinct angles do not fix the flow direction: fix phi0, or use {_MIN_ANGLES}."
                )
        if n_phi is not None and n_frames is not None:
            n_pairs = n_phi * n_frames * (n_frames - 1) // 2
            sentences.append(
                f"The data hold {n_pairs:,} distinct pairs; their Jacobian takes {8e-6 * n * n_pairs:.3g} MB."
            )
        return sentences

    def get_model_info(self) -> dict[str, Any]:
        """Describe the model.

        Returns
        -------
        dict
            ``name``, ``analysis_mode``, ``is_static``, ``n_parameters``, ``parameter_names``, ``units``,
            ``bounds``, ``defaults``, ``shear_convention`` (None when static), ``supports_gradients``,
            ``gradient_method``, ``device``.
        """
        return {
            "name": self.name,
            "analysis_mode": self.analysis_mode,
            "is_static": self.is_static,
            "n_parameters": len(self.parameter_names),
            "parameter_names": list(self.parameter_names),
            "units": [PARAMETERS[name].unit for name in self.parameter_names],
            "bounds": self.get_parameter_bounds(),
            "defaults": np.asarray(self.get_default_parameters()).tolist(),
            "shear_convention": None if self.is_static else self.shear_convention,
            "supports_gradients": self.supports_gradients(),
            "gradient_method": self.get_best_gradient_method(),
            "device": get_device_info(),
        }
