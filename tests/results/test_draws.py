"""The file of a posterior, read as ArviZ reads it; mean and spread of draws; and the factor between shear conventions."""

from __future__ import annotations

import arviz_stats
import numpy as np
import pytest
import xarray
from arviz_base import convert_to_datatree
from scipy.optimize import brentq

from homodyne_lib.model.kernels import SHEAR_CONVENTIONS, convention_in_words
from homodyne_lib.results.draws import mean_and_sd, read_draws, write_draws

SHAPE = (3, 50)
NAMES = {"energy", "lp", "diverging", "acceptance_rate", "n_steps"}


def statistics(seed):
    rng = np.random.default_rng(seed)
    numbers = {name: rng.normal(size=SHAPE) for name in ("energy", "lp", "acceptance_rate")}
    return numbers | {"diverging": rng.random(SHAPE) < 0.1, "n_steps": rng.integers(1, 8, SHAPE)}


@pytest.mark.parametrize("n_shards", [1, 2])
def test_arviz_reads_draws_and_statistics(tmp_path, monkeypatch, n_shards):
    """Also where a settings file of the user counts chains from one."""
    monkeypatch.setitem(__import__("arviz_base").rcParams, "data.index_origin", 1)
    rng = np.random.default_rng(0)
    draws = {name: rng.normal(size=SHAPE) for name in ("D0", "noise_scale")}
    shards = [statistics(seed) for seed in range(n_shards)]
    lp = rng.normal(size=SHAPE) if n_shards > 1 else None
    for name in ("a.nc", "b.nc"):
        write_draws(tmp_path / name, draws, shards, lp, independent=draws)
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()
    posterior, independent, found, density = read_draws(tmp_path / "a.nc")
    for name, values in draws.items():
        np.testing.assert_array_equal(posterior[name], values)
        np.testing.assert_array_equal(independent[name], values)
    assert [set(stats) for stats in found] == [set(stats) for stats in shards]
    for stats, wanted in zip(found, shards, strict=True):
        np.testing.assert_array_equal(stats["energy"], wanted["energy"])
    assert (density is None) == (lp is None)
    write_draws(tmp_path / "again.nc", posterior, found, density, independent)
    assert (tmp_path / "again.nc").read_bytes() == (tmp_path / "a.nc").read_bytes()
    with xarray.open_datatree(tmp_path / "a.nc", engine="h5netcdf") as file:
        tree = convert_to_datatree(file.load())
    groups = {"posterior", "sample_stats", "independent"}
    assert set(tree.children) == (groups | {"shards"} if n_shards > 1 else groups)
    stats = tree["sample_stats"]
    for group in ("posterior", "sample_stats"):
        assert tree[group].sizes == {"chain": SHAPE[0], "draw": SHAPE[1]}
        np.testing.assert_array_equal(tree[group]["chain"], np.arange(SHAPE[0]))
    assert tree["posterior"]["D0"].attrs["units"] == "Å²/s"
    assert set(arviz_stats.summary(tree).index) == set(draws)
    assert np.isfinite(arviz_stats.bfmi(tree)["energy"]).all()
    if n_shards == 1:
        assert set(stats.data_vars) == NAMES
        assert stats["diverging"].dtype == bool
    else:
        np.testing.assert_array_equal(stats["energy"], -lp)
        assert set(stats.data_vars) == {"lp", "energy"}, "weighted draws are no chains"
        for number, shard in enumerate(shards):
            np.testing.assert_array_equal(tree[f"shards/{number}"]["energy"], shard["energy"])


def test_the_factor_between_conventions_is_that_of_equal_decays():
    """Phases at which sinc² and sinc have fallen alike, from almost not to the first null; x is q L cos Γ/2."""

    def g1(name, x):
        convention = SHEAR_CONVENTIONS[name]
        return np.sinc(convention.phase_scale * x / np.pi / np.pi) ** convention.power

    ratios = []
    for level in (0.9999, 1e-9):
        # sinc² meets its null at x = π², the simple one at π.
        spec = brentq(lambda x, level=level: g1("spec", x) - level, 0, np.pi**2)
        ratios.append(spec / brentq(lambda x, level=level: g1("published", x) - level, 0, np.pi))
    low, high = ratios
    for name, other, size in (("spec", "published", "smaller"), ("published", "spec", "larger")):
        assert convention_in_words(name) == f"convention {name}; by {other} {low:.1f} to {high:.1f} times {size}"


@pytest.mark.parametrize("value", [3.3, -0.4, 1e-3, 0.0])
def test_draws_that_are_alike_have_no_spread(value):
    """3.3 and 1e-3 are no binary numbers, and 4000 of them have a mean that is rounded; so are rates made of them."""
    assert mean_and_sd(np.full((4, 1000), value)) == (value, 0.0)
    rounded = np.full(4000, value)
    rounded[1::2] *= 1.0 + 1e-15
    assert mean_and_sd(rounded) == (value, 0.0)
    draws = value + 1e-6 * np.random.default_rng(1).standard_normal((4, 1000))
    assert mean_and_sd(draws) == (np.mean(draws), np.std(draws, ddof=1))
