"""The diagonal of c2 from its neighbours, by three methods (spec section 12)."""

from homodyne_lib.prepare.diagonal import apply_diagonal_correction, apply_diagonal_correction_batch

__all__ = ["apply_diagonal_correction", "apply_diagonal_correction_batch"]
