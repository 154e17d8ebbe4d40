"""Which array library computes: JAX where it is installed, NumPy otherwise, by the same kernel lines.

JAX is imported by the first that needs it, never by importing this package: most jobs compute with NumPy alone, and its
import would take longer than their work.
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
    "compiled",
    "get_device_info",
    "is_traced",
    "load_jax",
    "require_float64",
    "require_untraced",
    "select_physics_backend",
]

HAS_JAX = find_spec("jax") is not None
"""Whether JAX can be imported."""

# Double precision for JAX, also where the user imports it: by its configuration if it is there, else by the variable
# that it reads when it comes.
if sys.modules.get("jax"):
    sys.modules["jax"].config.update("jax_enable_x64", True)
else:
    os.environ["JAX_ENABLE_X64"] = "1"


def load_jax():
    """JAX, imported if nothing has imported it yet."""
    import jax  # here and not above, so that who computes with NumPy does not wait for it

    return jax


def _is_jax(value: Any) -> bool:
    # Where nothing has imported JAX no value can be its own.
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


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
    jax = sys.modules.get("jax")
    if jax is not None and not jax.config.jax_enable_x64:
        raise RuntimeError(
            "JAX computes in single precision because jax_enable_x64 was switched off; the phases of the shear term "
            "need double precision. Remove JAX_ENABLE_X64=0 or call jax.config.update('jax_enable_x64', True)."
        )


def is_traced(value: Any) -> bool:
    """Whether a value is being traced by JAX, so that it has no number yet."""
    return _is_jax(value) and isinstance(value, load_jax().core.Tracer)


def require_untraced(name: str, value: Any) -> None:
    """Raise TypeError where JAX traces a value that must be a plain number."""
    if is_traced(value):
        raise TypeError(
            f"{name} is being traced by JAX, but its plain number is needed; build layouts and factors outside jit, "
            "grad and vmap, and pass only the parameters through them."
        )


def array_namespace(*arrays: Any):
    """Return the module whose functions act on the given arrays: ``jax.numpy`` if any is a JAX array, else ``numpy``."""
    if any(map(_is_jax, arrays)):
        require_float64()
        return load_jax().numpy
    return np


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

    @cache
    def fast():
        return load_jax().jit(kernel, static_argnames=static)

    @wraps(kernel)
    def dispatch(first, *args, **kwargs):
        return (fast() if _is_jax(first) else kernel)(first, *args, **kwargs)

    return dispatch


def as_arrays(*values: Any) -> tuple:
    """Convert values to float arrays of the selected backend; ``None`` passes through.

    Complex values stay complex (complex-step differentiation) and therefore stay NumPy arrays.
    """
    is_complex = any(np.iscomplexobj(v) for v in values if isinstance(v, (np.ndarray, complex)))
    if is_complex or select_physics_backend() == "numpy":
        return tuple(
            None if v is None else np.asarray(v, dtype=complex if np.iscomplexobj(v) else float) for v in values
        )
    jax = load_jax()
    require_float64()
    return tuple(None if v is None else jax.numpy.asarray(v, dtype=float) for v in values)


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
    jax = load_jax()
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
