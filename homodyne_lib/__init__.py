"""Two-time X-ray photon correlation: the homodyne model of diffusion and laminar flow, and its inference.

The packages, in the order in which they may import each other:

=============  ==========================================================================
model          parameters, the physics of a pair of frames, the backend that computes it
prepare        noise, diagonal, first contrast and offset of matrices of c2
io             two-time files of every layout, and the canonical file
simulation     movies of speckles with known parameters
likelihood     from matrices and a model to the sums and inner products that fits and samplers need
fitting        least squares, and the fit in the metric of speckle noise
sampling       consensus Monte Carlo
uncertainty    error bars under the noise of speckles and photons; misfit; whether two fits, and parts, agree
results        what result files hold, as objects that read and write them
steps          the steps of an analysis, as the workflow and the interface take them
figures        figures, and the numbers that they show
interface      load, simulate, fit, calibrate, sample, plot: for a notebook
spec           the specification's modules under their own names; only this file imports it
=============  ==========================================================================

The names of the specification are offered here; a module is imported when one of its names is used. They compute with JAX
where it is installed and with NumPy where it is not. ``fit`` and ``sample`` need JAX. Importing the package switches JAX to
double precision, unless the user has set it otherwise.
"""

from importlib import import_module

from homodyne_lib.model import backend as _backend  # noqa: F401 - sets the precision of JAX

__version__ = "0.1.0"

_NAMES = {
    "spec.physics": (
        "PhysicsConstants ValidationResult clip_parameters estimate_correlation_time get_default_parameters "
        "parameter_bounds validate_experimental_setup validate_parameters validate_parameters_detailed"
    ),
    "spec.models": "CombinedModel DiffusionModel PhysicsModelBase ShearModel create_model get_available_models",
    "spec.model_mixins": "BenchmarkingMixin GradientCapabilityMixin OptimizationRecommendationMixin",
    "spec.physics_factors": "PhysicsFactors create_physics_factors_from_config_dict",
    "spec.jax_backend": (
        "batch_chi_squared compute_chi_squared compute_g1_diffusion compute_g1_shear compute_g1_total "
        "compute_g2_scaled compute_g2_scaled_with_factors get_cached_meshgrid gradient_chi2 gradient_g2 "
        "hessian_chi2 hessian_g2 vectorized_g2_computation"
    ),
    "spec.physics_cmc": ("ShardGrid compute_g1_total_points compute_g1_total_with_precomputed precompute_shard_grid"),
    "spec.physics_utils": (
        "calculate_diffusion_coefficient calculate_shear_rate calculate_shear_rate_cmc create_time_integral_matrix "
        "safe_exp safe_sinc trapezoid_cumsum"
    ),
    "spec.scaling_utils": "compute_averaged_scaling estimate_contrast_offset_from_quantiles estimate_per_angle_scaling",
    "spec.fitting": (
        "FitResult ParameterSpace UnifiedHomodyneEngine fit_result solve_least_squares_chunked_jax "
        "solve_least_squares_general_jax solve_least_squares_jax"
    ),
    "spec.diagonal_correction": "apply_diagonal_correction apply_diagonal_correction_batch",
    "spec.theory": "TheoryEngine compute_chi2_theory compute_g2_theory",
    "spec.homodyne_model": "HomodyneModel",
    "spec.numpy_gradients": "numpy_gradient numpy_hessian",
    "spec.backend_api": "get_device_info select_physics_backend",
    "interface.data": "load simulate",
    "interface.analysis": "calibrate fit sample",
    "interface.drawing": "plot",
    "io.correlations": "Correlations",
    "results.fits": "Fit",
    "results.calibrations": "Calibration",
    "results.posteriors": "Posterior",
    "model.scaling": "PerAngleScaling per_angle_scaling",
    "io.array_files": "write_c2",
}
_HOMES = {name: f"homodyne_lib.{module}" for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    """A public name, from the module that has it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'homodyne_lib' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def home_of(name: str) -> str:
    """Name of the module that a public name is imported from."""
    return _HOMES[name]


def __dir__() -> list[str]:
    return [*globals(), *__all__]
