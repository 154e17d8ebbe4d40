"""The posterior that shards make together: parameters that are held, and the files."""

from __future__ import annotations

import numpy as np
import pytest
from workflow_support import write_rest

import homodyne_lib as hd
from homodyne_lib.results.posterior_records import chain_diagnostics
from homodyne_lib.sampling.coordinates import Coordinates
from homodyne_lib.sampling.shard_files import ShardDraws
from homodyne_lib.steps.combined import combined, usable_shards

SHAPE = (2, 200)
# No binary number: the mean of many such is rounded.
HELD = {"D_offset": 1500.3}


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """Data, a fit with one parameter held, and a posterior whose chains are normal numbers about the fit."""
    path = tmp_path_factory.mktemp("held") / "rest.h5"
    write_rest(path)
    c2 = hd.load(path, q=0.01, dt=0.1)
    fit = hd.fit(c2, starts=8, fixed=HELD)
    time = np.maximum(c2.offsets * c2.dt, c2.dt / 2)
    coordinates = Coordinates(list(fit.parameters), time, {}, HELD, list(fit.values.values()))
    inner, rng = len(coordinates.free) + 1, np.random.default_rng(1)
    x = 0.01 * rng.standard_normal((*SHAPE, inner + len(fit.coefficients)))
    x[..., inner:] += list(fit.coefficients.values())
    stats = {"diverging": np.zeros(SHAPE, dtype=bool), "energy": rng.standard_normal(SHAPE)}
    shard = ShardDraws(x, x, np.zeros(x.shape[-1]), np.zeros(2 * x.shape[-1:]), stats, time)
    report = {"attempts": 1, "n_warmup": 100, "jumps": False, "node_share": 0.999}
    report |= chain_diagnostics(coordinates.natural_draws(x, list(fit.coefficients)), stats)
    how = {"seed": 1, "min_good_shards": 1.0, "bounds": {}, "fixed": HELD}
    return c2, fit, combined([(shard, report)], None, fit, fit.calibration, **how)


def test_a_held_parameter_has_a_value_and_no_error(held):
    _, fit, posterior = held
    assert [*posterior.chains] == [*fit.parameters, "noise_scale", *fit.coefficients]
    np.testing.assert_array_equal(posterior.chains["D_offset"], np.full(SHAPE, 1500.3))
    table = posterior.table.set_index("parameter")
    assert table.loc["D_offset", ["value", "error", "lower", "hdi_upper"]].tolist() == [1500.3, 0.0, 1500.3, 1500.3]
    assert table.loc["D_offset", ["r_hat", "ess_bulk", "contraction", "nlsq_z"]].isna().all()
    assert table.loc["alpha", ["r_hat", "ess_bulk", "contraction", "nlsq_z"]].notna().all()


def test_rates_of_draws_take_the_held_value(held):
    _, _, posterior = held
    d0, alpha = (posterior.draws[name] for name in ("D0", "alpha"))
    np.testing.assert_allclose(posterior.rates("D", [0.7], 0.1)[:, 0], d0 * 0.7**alpha + 1500.3, rtol=1e-12)
    time = np.maximum(np.arange(32) * 0.1, 0.05)
    rates = d0[:, None] * time ** alpha[:, None] + 1500.3
    mean = (rates[:, 1:] + rates[:, :-1]).mean(axis=1) / 2
    np.testing.assert_allclose(posterior.average("D", 32, 0.1), mean, rtol=1e-12)


def test_it_is_drawn_without_the_held_parameter(held):
    figures = hd.plot(*held)
    assert [*figures] == ["correlations", "decays", "rates", "angles", "corner", "residuals"]
    assert len([axes for axes in figures["corner"].axes if axes.get_xlabel()]) == 2


def test_a_posterior_comes_back_from_its_files(held, tmp_path):
    _, _, posterior = held
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    posterior.write(folders[0])
    again = hd.Posterior.read(folders[0])
    again.write(folders[1])
    for name in ("posterior.nc", "cmc.json", "parameters.csv"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name
    assert again.report == posterior.report
    assert repr(again) == repr(posterior) and "D_offset" in again._repr_html_()


def test_shards_that_are_left_out_are_named():
    bad = (None, {"usable": False, "reasons": ["R̂ reaches 2", "no draws moved"]})
    used, failed = usable_shards([(None, {"usable": True}), bad, "c2 is empty."], 0.3)
    assert [*used] == [0] and [(shard.shard, shard.reason) for shard in failed] == [
        (1, "R̂ reaches 2; no draws moved."),
        (2, "c2 is empty."),
    ]
    with pytest.raises(ValueError, match=r"only 1 of 3 shards can be used, .* a share of 0\.5\. Shard 1: R̂ reaches 2;"):
        usable_shards([(None, {"usable": True}), bad, "c2 is empty."], 0.5)


def test_a_posterior_that_is_not_of_the_data_is_told(held):
    """The chains here lie about the origin of their coordinates and not about the fit."""
    _, fit, posterior = held
    (sentence,) = posterior.report.led_by_prior
    assert sentence.startswith("Fit and posterior do not agree on D(t): at 0.78 s it is ")
    assert posterior.report.warnings[0] == sentence and f"Warning: {sentence}" in repr(posterior)
    assert fit.sound and not posterior.report.sound
