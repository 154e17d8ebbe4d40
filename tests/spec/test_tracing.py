"""JAX transforms every public function of the model: jit, vmap and grad over parameters, angles, q, L, dt and times."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from homodyne_lib.model import kernels, rates
from homodyne_lib.spec import jax_backend, physics_cmc
from homodyne_lib.spec.models import CombinedModel

pytestmark = pytest.mark.usefixtures("strict_jax")
N, DT = 5, 0.1
T = DT * np.arange(N)
GOOD = {
    "params": np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0]),
    "t1": T,
    "t2": T,
    "phi": np.array([10.0, 30.0, 90.0]),
    "q": 0.0054,
    "L": 2e6,
    "contrast": 0.3,
    "offset": 1.0,
    "dt": DT,
}
DATA = np.asarray(jax_backend.compute_g2_scaled(**GOOD)) + 0.01 * np.random.default_rng(1).standard_normal((3, N, N))
G1 = ("params", "t1", "t2", "phi", "q", "L", "dt")
FUNCTIONS = {
    "compute_g1_diffusion": {name: GOOD[name] for name in ("params", "t1", "t2", "q", "dt")},
    "compute_g1_shear": {name: GOOD[name] for name in G1},
    "compute_g1_total": {name: GOOD[name] for name in G1},
    "compute_g2_scaled": GOOD,
    "compute_chi_squared": GOOD | {"data": DATA, "sigma": 0.02},
}
each_function = pytest.mark.parametrize("name", FUNCTIONS)


@each_function
def test_whole_function_under_jit(name):
    """Every argument traced at once, times and dt too."""
    function, arguments = getattr(jax_backend, name), FUNCTIONS[name]
    found = jax.jit(function)(**arguments)
    np.testing.assert_allclose(found, function(**arguments), rtol=1e-11, atol=1e-13)


def test_public_derivatives_under_jit():
    for function, arguments in (
        (jax_backend.gradient_g2, GOOD),
        (jax_backend.gradient_chi2, FUNCTIONS["compute_chi_squared"]),
    ):
        found, expected = jax.jit(function)(**arguments), function(**arguments)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10 * np.abs(expected).max())


@each_function
@pytest.mark.parametrize("over", ["q", "phi"])
def test_vmap_is_a_loop(name, over):
    arguments = FUNCTIONS[name]
    if over not in arguments:
        return
    function, values = (
        getattr(jax_backend, name),
        arguments[over] * np.linspace(0.9, 1.1, 3).reshape(-1, *[1] * np.ndim(arguments[over])),
    )
    found = jax.vmap(lambda value: function(**arguments | {over: value}))(jnp.asarray(values))
    expected = np.stack([function(**arguments | {over: value}) for value in values])
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_vmap_over_single_angles_is_the_stack_of_all():
    found = jax.vmap(lambda phi: jax_backend.compute_g2_scaled(**GOOD | {"phi": phi}))(jnp.asarray(GOOD["phi"]))
    np.testing.assert_allclose(found[:, 0], jax_backend.compute_g2_scaled(**GOOD), rtol=1e-13)


@each_function
def test_slopes_are_those_of_values(name):
    """Against central differences of the function that computes on known numbers."""
    function, arguments = getattr(jax_backend, name), FUNCTIONS[name]
    geometry = {
        by: jnp.asarray(arguments[by]) for by in ("q", "L", "dt", "phi", "contrast", "offset") if by in arguments
    }
    found = jax.jacfwd(lambda changes: function(**arguments | changes))(geometry)
    for by, value in geometry.items():

        def of(x, by=by, shape=value.shape):
            return function(**arguments | {by: np.reshape(x, shape)})

        expected = reference.central_difference(of, np.atleast_1d(np.asarray(value)), relative_step=1e-5)
        expected = expected.reshape(found[by].shape)
        np.testing.assert_allclose(found[by], expected, atol=1e-6 * np.abs(expected).max(), err_msg=by)


def test_slopes_by_times_are_those_of_values():
    """g2 depends on the time of the first frame, from which frames are counted; others only say which frame is meant."""

    def of(start):
        return jax_backend.compute_g2_scaled(**GOOD | {"t1": start + T, "t2": start + T})

    found = jax.jacfwd(of)(0.35)
    expected = reference.central_difference(lambda x: of(float(x[0])), np.array([0.35]))[..., 0]
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())
    assert np.abs(expected).max() > 0.01


@pytest.mark.parametrize("t2", [T[:2], T[2:], T + 3 * DT])
def test_traced_times_need_not_be_equal(t2):
    known = GOOD | {"t2": t2}
    found = jax.jit(lambda a, b: jax_backend.compute_g2_scaled(**GOOD | {"t1": a, "t2": b}))(T, t2)
    np.testing.assert_allclose(found, jax_backend.compute_g2_scaled(**known), rtol=1e-12)


def test_traced_matrices_of_times():
    matrices = np.meshgrid(T, T, indexing="ij")
    found = jax.jit(lambda a, b: jax_backend.compute_g2_scaled(**GOOD | {"t1": a, "t2": b}))(*matrices)
    np.testing.assert_allclose(found, jax_backend.compute_g2_scaled(**GOOD), rtol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [{"dt": 0.15}, {"t1": T + 0.05}, {"t2": T - DT, "t1": T - DT}, {"t2": T + 100 * DT}, {"dt": -DT}],
    ids=["dt of other data", "between frames", "before the record", "beyond the axis", "negative dt"],
)
@pytest.mark.parametrize("exponents", [(-0.5, -0.3), (0.0, 0.0)], ids=["ageing", "steady"])
def test_what_cannot_be_checked_is_nan(changes, exponents):
    """Of steady rates too, though NaN to the power of zero is one."""
    params = GOOD["params"].copy()
    params[[1, 4]] = exponents
    good = GOOD | {"params": params}
    arguments = good | changes
    with jax.debug_nans(False):
        g2 = jax.jit(lambda t1, t2, dt: jax_backend.compute_g2_scaled(**good | {"t1": t1, "t2": t2, "dt": dt}))(
            arguments["t1"], arguments["t2"], arguments["dt"]
        )
    assert np.all(np.isnan(np.asarray(g2)[:, ~np.eye(N, dtype=bool)]))


@pytest.mark.parametrize("later", [0, 7])
def test_points_with_a_traced_interval(later):
    t1, t2, phi = T[[0, 1, 1]] + later * DT, T[[3, 4, 2]] + later * DT, np.array([0.0, 30.0, 90.0])

    def g1(dt, q):
        return CombinedModel().compute_g1_batch(GOOD["params"], t1, t2, phi, q, GOOD["L"], dt)

    np.testing.assert_allclose(jax.jit(g1)(DT, 0.0054), g1(DT, 0.0054), rtol=1e-12)
    slope = jax.grad(lambda q: g1(DT, q).sum())(0.0054)
    expected = reference.central_difference(lambda q: g1(DT, float(q[0])).sum(), np.array([0.0054]))
    np.testing.assert_allclose(slope, expected[0], rtol=1e-6)


def test_shard_of_traced_angles_and_factors():
    grid = physics_cmc.precompute_shard_grid(T, T[:3], T[2:], DT)

    def g1(phi, wq_dt, sinc_pre):
        return physics_cmc.compute_g1_total_with_precomputed(GOOD["params"], phi, *grid[:3], wq_dt, sinc_pre)

    arguments = GOOD["phi"], 1e-6, 170.0
    np.testing.assert_allclose(jax.jit(g1)(*arguments), g1(*arguments), rtol=1e-12)


def test_a_derivative_is_compiled_once(monkeypatch):
    """Other values of the same shapes trace nothing; another convention is another program."""
    traced, sinc = [], rates.safe_sinc
    monkeypatch.setattr(kernels, "safe_sinc", lambda x: traced.append(x) or sinc(x))
    t = DT * np.arange(11)  # a shape that no other test has
    arguments = GOOD | {"t1": t, "t2": t}
    jax_backend.gradient_g2(**arguments)
    once = len(traced)
    assert once > 0
    jax_backend.gradient_g2(**arguments | {"q": 0.006, "phi": np.array([1.0, 2.0, 3.0]), "contrast": 0.2})
    assert len(traced) == once
    jax_backend.gradient_g2(**arguments, shear_convention="published")
    assert len(traced) > once
