"""Which array library computes: JAX where it is installed, NumPy otherwise, by the same kernel lines."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

try:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    HAS_JAX = True
except ImportError:
    HAS_JAX = False

__all__ = [
    "HAS_JAX",
    "array_namespace",
    "as_arrays",
    "get_device_info",
    "is_traced",
    "require_float64",
    "require_untraced",
    "select_physics_backend",
]


def select_physics_backend() -> str:
    """Name the array library that public functions compute with (spec section 16, ``backend_api.py``).

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
    """Make sure that JAX still computes in double precision.

    Raises
    ------
    RuntimeError
        If something switched ``jax_enable_x64`` off after this package was imported.
    """
    if HAS_JAX and not jax.config.jax_enable_x64:
        raise RuntimeError(
            "JAX computes in single precision because jax_enable_x64 was switched off; the phases of the shear term "
            "need double precision. Remove JAX_ENABLE_X64=0 or call jax.config.update('jax_enable_x64', True)."
        )


def is_traced(value: Any) -> bool:
    """Whether a value is being traced by JAX, so that it has no number yet."""
    return HAS_JAX and isinstance(value, jax.core.Tracer)


def require_untraced(name: str, value: Any) -> None:
    """Raise TypeError where JAX traces a value that must be a plain number."""
    if is_traced(value):
        raise TypeError(
            f"{name} is being traced by JAX, but its plain number is needed; build layouts and factors outside jit, "
            "grad and vmap, and pass only the parameters through them."
        )


def array_namespace(*arrays: Any):
    """Return the module whose functions act on the given arrays: ``jax.numpy`` if any is a JAX array, else ``numpy``."""
    if HAS_JAX and any(isinstance(a, jax.Array) for a in arrays):
        require_float64()
        return jnp
    return np


def as_arrays(*values: Any) -> tuple:
    """Convert values to float arrays of the selected backend; ``None`` passes through.

    Complex values stay complex (complex-step differentiation) and therefore stay NumPy arrays.
    """
    is_complex = any(np.iscomplexobj(v) for v in values if isinstance(v, (np.ndarray, complex)))
    if is_complex or select_physics_backend() == "numpy":
        return tuple(
            None if v is None else np.asarray(v, dtype=complex if np.iscomplexobj(v) else float) for v in values
        )
    require_float64()
    return tuple(None if v is None else jnp.asarray(v, dtype=float) for v in values)


def get_device_info() -> dict[str, Any]:
    """Describe what the selected backend computes on.

    Returns
    -------
    dict
        ``backend``, ``version``, ``platform``, ``device_count``, ``devices`` (names), ``float64``, ``gradients``
        (``"automatic"`` or ``"numerical"``).
    """
    if select_physics_backend() == "numpy":
        return {
            "backend": "numpy",
            "version": np.__version__,
            "platform": "cpu",
            "device_count": 1,
            "devices": ["cpu"],
            "float64": True,
            "gradients": "numerical",
        }
    devices = jax.devices()
    return {
        "backend": "jax",
        "version": jax.__version__,
        "platform": jax.default_backend(),
        "device_count": len(devices),
        "devices": [str(d) for d in devices],
        "float64": bool(jax.config.jax_enable_x64),
        "gradients": "automatic",
    }
