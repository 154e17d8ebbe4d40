"""Two-time X-ray photon correlation: the homodyne model of diffusion and laminar flow, and its inference.

The names of the model are re-exported here; they compute with JAX where it is installed and with NumPy where it is not.
Inference (:mod:`~homodyne_lib.nlsq`, :mod:`~homodyne_lib.cmc`), simulation, files and figures are imported by module.
Importing the package switches JAX to double precision.
"""

from homodyne_lib.backend import get_device_info, select_physics_backend
from homodyne_lib.diagonal_correction import apply_diagonal_correction, apply_diagonal_correction_batch
from homodyne_lib.fitting import FitResult, UnifiedHomodyneEngine
from homodyne_lib.homodyne_model import HomodyneModel
from homodyne_lib.jax_backend import (
    batch_chi_squared,
    compute_chi_squared,
    compute_g1_diffusion,
    compute_g1_shear,
    compute_g1_total,
    compute_g1_total_points,
    compute_g1_total_with_precomputed,
    compute_g2_scaled,
    compute_g2_scaled_with_factors,
    gradient_chi2,
    gradient_g2,
    hessian_chi2,
    hessian_g2,
    vectorized_g2_computation,
)
from homodyne_lib.layouts import ShardGrid, get_cached_meshgrid, precompute_shard_grid
from homodyne_lib.least_squares import (
    solve_least_squares_chunked_jax,
    solve_least_squares_general_jax,
    solve_least_squares_jax,
)
from homodyne_lib.model_mixins import (
    BenchmarkingMixin,
    GradientCapabilityMixin,
    OptimizationRecommendationMixin,
)
from homodyne_lib.models import (
    CombinedModel,
    DiffusionModel,
    PhysicsModelBase,
    ShearModel,
    create_model,
    get_available_models,
)
from homodyne_lib.numpy_gradients import numpy_gradient, numpy_hessian
from homodyne_lib.parameter_space import ParameterSpace
from homodyne_lib.per_angle import PerAngleScaling, per_angle_scaling
from homodyne_lib.physics import PhysicsConstants, get_default_parameters, parameter_bounds
from homodyne_lib.physics_factors import PhysicsFactors, create_physics_factors_from_config_dict
from homodyne_lib.physics_utils import (
    calculate_diffusion_coefficient,
    calculate_shear_rate,
    calculate_shear_rate_cmc,
    create_time_integral_matrix,
    safe_exp,
    safe_sinc,
    trapezoid_cumsum,
)
from homodyne_lib.scaling_utils import (
    compute_averaged_scaling,
    estimate_contrast_offset_from_quantiles,
    estimate_per_angle_scaling,
)
from homodyne_lib.theory import TheoryEngine, compute_chi2_theory, compute_g2_theory
from homodyne_lib.validation import (
    ValidationResult,
    clip_parameters,
    estimate_correlation_time,
    validate_experimental_setup,
    validate_parameters,
    validate_parameters_detailed,
)

__version__ = "0.1.0"

__all__ = [
    "BenchmarkingMixin",
    "CombinedModel",
    "DiffusionModel",
    "FitResult",
    "GradientCapabilityMixin",
    "HomodyneModel",
    "OptimizationRecommendationMixin",
    "ParameterSpace",
    "PerAngleScaling",
    "PhysicsConstants",
    "PhysicsFactors",
    "PhysicsModelBase",
    "ShardGrid",
    "ShearModel",
    "TheoryEngine",
    "UnifiedHomodyneEngine",
    "ValidationResult",
    "apply_diagonal_correction",
    "apply_diagonal_correction_batch",
    "batch_chi_squared",
    "calculate_diffusion_coefficient",
    "calculate_shear_rate",
    "calculate_shear_rate_cmc",
    "clip_parameters",
    "compute_averaged_scaling",
    "compute_chi2_theory",
    "compute_chi_squared",
    "compute_g1_diffusion",
    "compute_g1_shear",
    "compute_g1_total",
    "compute_g1_total_points",
    "compute_g1_total_with_precomputed",
    "compute_g2_scaled",
    "compute_g2_scaled_with_factors",
    "compute_g2_theory",
    "create_model",
    "create_physics_factors_from_config_dict",
    "create_time_integral_matrix",
    "estimate_contrast_offset_from_quantiles",
    "estimate_correlation_time",
    "estimate_per_angle_scaling",
    "get_available_models",
    "get_cached_meshgrid",
    "get_default_parameters",
    "get_device_info",
    "gradient_chi2",
    "gradient_g2",
    "hessian_chi2",
    "hessian_g2",
    "numpy_gradient",
    "numpy_hessian",
    "parameter_bounds",
    "per_angle_scaling",
    "precompute_shard_grid",
    "safe_exp",
    "safe_sinc",
    "select_physics_backend",
    "solve_least_squares_chunked_jax",
    "solve_least_squares_general_jax",
    "solve_least_squares_jax",
    "trapezoid_cumsum",
    "validate_experimental_setup",
    "validate_parameters",
    "validate_parameters_detailed",
    "vectorized_g2_computation",
]
