"""Which array library computes: JAX where it is installed, NumPy otherwise, by the same kernel lines.

JAX is imported by the first that needs it, never by importing this package: most jobs compute with NumPy alone, and its
import would take longer than their work.

Numbers are doubles everywhere: arguments of any other type are converted, and JAX is set to double precision unless the
user set it otherwise. A setting of the user's stays as it is; computing with JAX then raises an error that says so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache, wraps
from importlib.util import find_spec
from typing import Any

import numpy as np

__all__ = [
    "HAS_JAX",
    "array_namespace",
    "as_arrays",
    "as_doubles",
    "compiled",
    "is_traced",
    "jitted",
    "load_jax",
    "over_batch",
    "pytree",
    "register_pytrees",
    "require_float64",
    "require_untraced",
    "select_physics_backend",
    "with_slope",
]

HAS_JAX = find_spec("jax") is not None
"""Whether JAX can be imported."""

# JAX reads the variable when it is imported. If it was imported before, its configuration is what counts; whether a user
# chose its default, single precision, cannot be seen there, and nothing in this library can work with it.
if "JAX_ENABLE_X64" not in os.environ:
    if sys.modules.get("jax"):
        sys.modules["jax"].config.update("jax_enable_x64", True)
    else:
        os.environ["JAX_ENABLE_X64"] = "1"

_pytrees: list[type] = []  # not yet known to JAX


def load_jax():
    """JAX in double precision, imported if nothing has imported it yet; errors as :func:`require_float64`."""
    import jax  # not at the top of the module: its import takes longer than the work of most jobs, which use NumPy

    register_pytrees()
    require_float64()
    return jax


def pytree(cls: type) -> type:
    """Mark a dataclass as a pytree of JAX whose leaves are its fields; :func:`register_pytrees` tells JAX."""
    _pytrees.append(cls)
    return cls


def register_pytrees() -> None:
    """Tell JAX of the dataclasses that are pytrees, if it has been imported."""
    jax = sys.modules.get("jax")
    while jax and _pytrees:
        jax.tree_util.register_dataclass(_pytrees.pop())


def _is_jax(value: Any) -> bool:
    # Where nothing has imported JAX no value can be its own.
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


def select_physics_backend() -> str:
    """Name the array library that public functions compute with (spec section 15, ``backend_api.py``).

    The environment variable ``HOMODYNE_BACKEND`` (``jax`` or ``numpy``) overrides the choice.

    Returns
    -------
    str
        ``"jax"`` or ``"numpy"``.

    Raises
    ------
    ValueError
        If the variable holds another word, or asks for JAX where it is not installed.
    """
    wanted = os.environ.get("HOMODYNE_BACKEND", "jax" if HAS_JAX else "numpy")
    if wanted not in ("jax", "numpy"):
        raise ValueError(f"HOMODYNE_BACKEND is {wanted!r}; set it to jax or numpy, or unset it.")
    if wanted == "jax" and not HAS_JAX:
        raise ValueError("HOMODYNE_BACKEND asks for jax, which is not installed here; install jax or set it to numpy.")
    return wanted


def require_float64() -> None:
    """Make sure that JAX computes in double precision.

    Raises
    ------
    RuntimeError
        If the user switched ``jax_enable_x64`` off, by the variable ``JAX_ENABLE_X64`` or by the configuration of JAX.
    """
    jax = sys.modules.get("jax")
    if jax is not None and not jax.config.jax_enable_x64:
        variable = os.environ.get("JAX_ENABLE_X64")
        raise RuntimeError(
            f"JAX computes in single precision because jax_enable_x64 was switched off (JAX_ENABLE_X64 is "
            f"{'not set' if variable is None else repr(variable)}); the phases of the shear term need double precision. "
            "Remove JAX_ENABLE_X64=0, call jax.config.update('jax_enable_x64', True), or set HOMODYNE_BACKEND=numpy."
        )


def is_traced(value: Any) -> bool:
    """Whether a value is being traced by JAX, so that it has no number yet."""
    return _is_jax(value) and isinstance(value, load_jax().core.Tracer)


def require_untraced(name: str, value: Any) -> None:
    """Raise TypeError where JAX traces values from which frames must be counted."""
    if is_traced(value):
        raise TypeError(
            f"{name} is being traced by JAX, but its numbers are needed to count frames; make layouts and shards outside "
            "jit, grad and vmap. Parameters, angles, q, L, dt, contrast and offset can be traced."
        )


def array_namespace(*arrays: Any):
    """Return the module whose functions act on the given arrays: ``jax.numpy`` if any is a JAX array, else ``numpy``."""
    return load_jax().numpy if any(map(_is_jax, arrays)) else np


def compiled(kernel: Callable, *static: str) -> Callable:
    """Compile a kernel for JAX arrays, once for each shape; NumPy arrays run the same lines as they are.

    Parameters
    ----------
    kernel : callable
        Its first argument tells the backend.
    *static : str
        Names of arguments that are no arrays; they are passed by name.

    Returns
    -------
    callable
    """
    fast = jitted(kernel, static_argnames=static)

    @wraps(kernel)
    def dispatch(first, *args, **kwargs):
        return (fast if _is_jax(first) else kernel)(first, *args, **kwargs)

    return dispatch


def jitted(function: Callable, **options: Any) -> Callable:
    """``jax.jit`` of a function with options, made at its first call: until then JAX need not be imported."""

    @cache
    def program():
        return load_jax().jit(function, **options)

    return wraps(function)(lambda *args, **kwargs: program()(*args, **kwargs))


def with_slope(slope: Callable) -> Callable:
    """Tell JAX the derivative of a function of single numbers, which it would otherwise compute at greater length.

    Parameters
    ----------
    slope : callable
        Takes an array and the function of it.

    Returns
    -------
    callable
        A decorator; NumPy arrays run the function as it is.
    """

    def decorate(function: Callable) -> Callable:
        @cache
        def followed():
            known = load_jax().custom_jvp(function)
            known.defjvps(lambda tangent, value, x: slope(x, value) * tangent)
            return known

        return wraps(function)(lambda x: (followed() if _is_jax(x) else function)(x))

    return decorate


def as_doubles(*values: Any) -> tuple:
    """Namespace of the given values (:func:`array_namespace`), then each as an array of doubles; complex stays complex."""
    xp = array_namespace(*values)
    return xp, *(xp.asarray(v, dtype=complex if np.iscomplexobj(v) else float) for v in values)


def as_arrays(*values: Any) -> tuple:
    """Convert values to float arrays of the selected backend; ``None`` passes through.

    Complex values stay complex (complex-step differentiation) and therefore stay NumPy arrays.
    """
    is_complex = any(np.iscomplexobj(v) for v in values if isinstance(v, (np.ndarray, complex)))
    if is_complex or select_physics_backend() == "numpy":
        return tuple(
            None if v is None else np.asarray(v, dtype=complex if np.iscomplexobj(v) else float) for v in values
        )
    jnp = load_jax().numpy
    return tuple(None if v is None else jnp.asarray(v, dtype=float) for v in values)


def over_batch(func: Callable, params_batch, args: tuple, kwargs: dict):
    """Call a function with each row of a batch of parameters.

    Parameters
    ----------
    func : callable
        Of a parameter vector and anything else.
    params_batch : array_like, shape (n_batch, n_params)
    args, kwargs : tuple, dict
        Further arguments of ``func``.

    Returns
    -------
    array, shape (n_batch, ...)

    Raises
    ------
    ValueError
        If the batch is no matrix, or holds what is not finite.
    """
    (batch,) = as_arrays(params_batch)
    if not (is_traced(batch) or np.all(np.isfinite(batch))):
        raise ValueError("params_batch holds values that are not finite; correct them.")
    if batch.ndim != 2:
        raise ValueError(f"params_batch must have shape (n_batch, n_params); found {tuple(batch.shape)}.")
    if select_physics_backend() == "jax":
        return load_jax().vmap(lambda p: func(p, *args, **kwargs))(batch)
    return np.stack([func(p, *args, **kwargs) for p in batch])
