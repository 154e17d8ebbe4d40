"""g2 of all pairs of frames, from factors made once (spec section 6)."""

from homodyne_lib.spec.jax_backend import compute_g2_scaled_with_factors

__all__ = ["compute_g2_scaled_with_factors"]
