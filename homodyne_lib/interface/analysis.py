"""Fit, calibrate and sample a record."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Literal

import numpy as np

from homodyne_lib.interface.settings import (
    Convention,
    Estimator,
    Progress,
    Uncertainty,
    check_choice,
    check_kind,
    check_number,
    check_power,
    check_shards,
    check_values,
    check_whole,
    made_from,
    silent,
)
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.likelihood.compression import compress
from homodyne_lib.model.model import fixed_power
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.posteriors import Posterior
from homodyne_lib.sampling.posterior import ShardPosterior
from homodyne_lib.sampling.shard_files import Proposals, ShardDraws
from homodyne_lib.sampling.shards import shard_count
from homodyne_lib.steps.apart import with_parts
from homodyne_lib.steps.calibrated import calibrated
from homodyne_lib.steps.combined import Outcome, combined
from homodyne_lib.steps.fitted import fitted
from homodyne_lib.steps.quantiles import quantile_scaling

with warnings.catch_warnings():
    # NumPyro imports tqdm, which warns in a notebook without widgets; no bar is shown here.
    warnings.filterwarnings("ignore", message="IProgress not found")
    from homodyne_lib.steps.sampled import sampled, seed_of, shard_posterior, weighed

__all__ = ["calibrate", "fit", "sample"]


def fit(
    c2: Correlations,
    mode: str = "static",
    *,
    per_angle_mode: str = "individual",
    fourier_order: int = 2,
    shear_convention: Convention = "spec",
    q_exponent: float | Literal["free"] = 2,
    uncertainty: Uncertainty = "speckle",
    estimator: Estimator = "speckle",
    starts: int = 64,
    start: Mapping[str, float] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, Sequence[float]] | None = None,
    max_evaluations: int = 200,
    seed: int = 1,
    threads: int = 1,
    progress: Progress = silent,
) -> Fit:
    """Fit the model, with the errors that the residuals call for.

    Parameters
    ----------
    c2 : Correlations
        Of :func:`~homodyne_lib.interface.data.load` or :func:`~homodyne_lib.interface.data.simulate`.
    mode : str
        ``static`` or ``laminar_flow``.
    per_angle_mode : str
        Contrast and offset over the angles (:func:`~homodyne_lib.model.scaling.per_angle_scaling`).
    fourier_order : int
        Highest harmonic of the mode ``fourier``.
    shear_convention : {"spec", "published"}
    q_exponent : float or "free"
        Power of q with which the decay goes, about the geometric mean of all q: 2 for diffusion.
    uncertainty : {"speckle", "independent"}
        Noise behind the errors; independent entries of c2 make them too small.
    estimator : {"speckle", "least_squares"}
        Whether pairs of frames weigh by the covariance of this noise or all the same. For independent noise both are one.
    starts : int
        Starting points that are screened; 0 leaves the search to ``start``.
    start, fixed : mapping of str to float, optional
        Starting values, and values at which parameters are held [units of the parameter table].
    bounds : mapping of str to (float, float), optional
        Narrower bounds.
    max_evaluations : int
        Evaluations of the model allowed to one descent.
    seed : int
    threads : int
        Angles are computed side by side in so many; the result does not depend on it.
    progress : callable

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        For settings that contradict the data or each other.
    """
    check_kind("c2", c2, Correlations, "homodyne_lib.load")
    check_choice("uncertainty", uncertainty, Uncertainty)
    check_choice("estimator", estimator, Estimator)
    check_whole(0, starts=starts, seed=seed)
    check_whole(1, fourier_order=fourier_order, max_evaluations=max_evaluations, threads=threads)
    check_values(start=start, fixed=fixed, bounds=bounds)
    check_power(q_exponent)
    result = fitted(
        c2,
        compress(c2),
        quantile_scaling(c2),
        analysis_mode=mode,
        per_angle_mode=per_angle_mode,
        fourier_order=fourier_order,
        shear_convention=shear_convention,
        starts=starts,
        start=start or {},
        fixed=fixed or {},
        bounds=bounds or {},
        max_evaluations=max_evaluations,
        seed=seed,
        q_exponent=fixed_power(q_exponent),
        progress=progress,
    )
    if uncertainty == "speckle":
        result = calibrate(result, estimator, max_evaluations=max_evaluations, threads=threads, progress=progress)
    made = made_from(result)
    return with_parts(
        result,
        made.record,
        made.data,
        made.quantiles,
        fourier_order=fourier_order,
        starts=starts,
        fixed=made.fixed,
        bounds=made.bounds,
        max_evaluations=max_evaluations,
        seed=seed,
        threads=threads,
        progress=progress,
    )


def calibrate(
    fit: Fit,
    estimator: Estimator = "speckle",
    *,
    max_evaluations: int = 200,
    threads: int = 1,
    progress: Progress = silent,
) -> Fit:
    """Give a fit the errors that its residuals call for, as :func:`fit` does unless told otherwise.

    Parameters
    ----------
    fit : Fit
    estimator : {"speckle", "least_squares"}
        Whether to fit once more in the metric of the noise.
    max_evaluations, threads : int
    progress : callable

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        If the fit was read from a file, or there is no such estimator.
    """
    check_choice("estimator", estimator, Estimator)
    check_whole(1, max_evaluations=max_evaluations, threads=threads)
    made = made_from(fit)
    if fit.metric is not None and fit.least_squares is None:
        raise ValueError(
            "this is one of the two fits of a result; give the whole one, as homodyne_lib.fit returned it."
        )
    result = calibrated(
        fit.least_squares or fit,
        made.record,
        made.data,
        made.quantiles,
        estimator=estimator,
        fourier_order=made.fourier_order,
        fixed=made.fixed,
        bounds=made.bounds,
        max_evaluations=max_evaluations,
        threads=threads,
        progress=progress,
    )
    return result.with_parts(fit.parts)


def sample(
    fit: Fit,
    *,
    shards: int | Literal["auto"] = "auto",
    chains: int = 4,
    warmup: int = 100,
    draws: int = 500,
    target_acceptance: float = 0.7,
    min_good_shards: float = 0.8,
    seed: int = 1,
    dataset: str = "",
    processes: int = 1,
    progress: Progress = silent,
) -> Posterior:
    """Sample the posterior of a fit, with its calibrated errors.

    Parameters
    ----------
    fit : Fit
        Of :func:`fit`, with its data, bounds and fixed values.
    shards : int or "auto"
        Parts of the data that are sampled one after the other; auto takes one.
    chains, warmup, draws : int
        Chains a shard; draws of a chain that are thrown away, and that are kept.
    target_acceptance : float
        Of NUTS.
    min_good_shards : float
        Share of the shards that must be usable.
    seed : int
    dataset : str
        The name that the workflow's table gives to the data; it is part of the seeds there, and makes the draws the same.
    processes : int
        Chains run side by side in so many; draws do not depend on it.
    progress : callable

    Returns
    -------
    Posterior

    Raises
    ------
    ValueError
        If the fit was read from a file, shards do not fit the data, too few of them can be used, or there is only one chain.
    """
    made = made_from(fit)
    check_shards(shards, min_good_shards)
    check_whole(1, chains=chains, processes=processes)
    if chains < 2:
        raise ValueError(f"chains is {chains}; choose 2 or more, as R̂ compares them with each other.")
    check_whole(50, warmup=warmup, draws=draws)  # of fewer, chains cannot be judged
    check_whole(0, seed=seed)
    check_number(0.5, 1.0, target_acceptance=target_acceptance)
    n_phi, n_frames, _ = made.record.c2.shape
    n_shards = shard_count(n_phi, n_frames, shards, in_metric=fit.metric is not None)

    def posterior(number: int) -> ShardPosterior:
        return shard_posterior(
            made.data if n_shards == 1 else made.record.band(slice(number, -1, n_shards)),
            fit,
            made.quantiles,
            n_shards,
            record=made.record if n_shards == 1 else None,
            fourier_order=made.fourier_order,
            bounds=made.bounds,
            fixed=made.fixed,
        )

    outcomes: list[Outcome] = [
        sampled(
            posterior(number),
            seed=seed_of(dataset, number, seed),
            chains=chains,
            warmup=warmup,
            draws=draws,
            target_acceptance=target_acceptance,
            processes=processes,
            progress=progress,
        )
        for number in range(n_shards)
    ]

    def weights(used: Mapping[int, ShardDraws]) -> tuple[Proposals, tuple[np.ndarray, ...]]:
        about = seed_of(dataset, "proposals", seed)
        kept = list(used.values())
        parts = [weighed(posterior(k), kept, chains * draws, seed=about, progress=progress) for k in used]
        return parts[0][0], tuple(reduce(np.add, term) for term in zip(*(terms for _, terms in parts), strict=True))

    return combined(
        outcomes,
        weights if n_shards > 1 else None,
        fit,
        fit.calibration,
        seed=seed_of(dataset, "resampling", seed),
        min_good_shards=min_good_shards,
        bounds=made.bounds,
        fixed=made.fixed,
        progress=progress,
    )
