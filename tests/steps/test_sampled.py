"""The draws of a posterior that is not where it was expected."""

from __future__ import annotations

import re

import numpy as np

import homodyne_lib as hd
from homodyne_lib.sampling.posterior import ShardPosterior
from homodyne_lib.steps.sampled import sampled, shard_posterior

TRUTH = {"D0": 20000.0, "alpha": -0.3, "D_offset": 2000.0}
SETTINGS = {"seed": 1, "chains": 2, "warmup": 100, "draws": 150, "target_acceptance": 0.7}


def test_snapshots_are_taken_where_the_draws_are():
    """A centre that is six errors off: of snapshots about it draws have 0.2 of their weight, of those about draws all.

    300 draws, of which some 100 are effective, in both samples: means differ by 0.14 of the width; 0.7 is five times this.
    """
    c2 = hd.simulate(TRUTH, [0.0, 60.0], q=0.01, dt=0.1, n_frames=40, pixels=4000, modes=3, counts=3.0)
    fit = hd.fit(c2, starts=8)
    made = fit.made_from
    parts = {"record": made.record, "fourier_order": 2, "bounds": {}, "fixed": {}}
    right = shard_posterior(made.data, fit, made.quantiles, 1, **parts)
    values = np.add(fit.vector, 6.0 * np.eye(len(fit.vector))[0] * fit.error("D0"))
    values[1] -= 0.3
    said: list[str] = []
    wrong = ShardPosterior(right.problem, values, noise_scale=fit.noise_scale)
    found, report = sampled(wrong, progress=said.append, **SETTINGS)
    shares = [float(number) for number in re.findall(r"([\d.]+)% of the draws count", " ".join(said))]
    assert shares[0] < 50.0 < 99.0 < shares[1] and len(shares) == 2
    assert report["node_share"] > 0.99
    wanted, report = sampled(right, progress=said.append, **SETTINGS)
    assert report["node_share"] > 0.99 and sum(text.startswith("once more, on nodes") for text in said) == 1
    # Whitened coordinates of both samples are those of one posterior.
    x, y = (
        sample.x[..., : len(right.density.factor)].reshape(-1, len(right.density.factor)) for sample in (found, wanted)
    )
    assert np.all(np.abs(x.mean(axis=0) - y.mean(axis=0)) < 0.7 * y.std(axis=0))
