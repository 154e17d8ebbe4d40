"""Which array library computes, and on what (spec section 15)."""

from __future__ import annotations

from typing import Any

import numpy as np

from homodyne_lib.model.backend import select_physics_backend

__all__ = ["get_device_info", "select_physics_backend"]


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
    import jax  # not load_jax, which refuses single precision: what is set is reported here

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
