"""What is to be said of the chains of a posterior, as cmc.json holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_lib.results.typed_json import JsonFile

__all__ = [
    *("CONVERGED", "MAX_DIVERGED", "MAX_R_HAT", "MIN_BFMI", "MIN_ESS", "MIN_NODE_SHARE", "SAMPLERS"),
    *("Agreement", "FailedShard", "Sampler", "SamplerReport", "ShardReport", "r_hat_in_words"),
]

MAX_R_HAT, MIN_ESS, MAX_DIVERGED, MIN_BFMI = 1.01, 400, 0.01, 0.3
"""Of converged chains: R̂, effective draws, the share of draws that diverged, and BFMI."""

MIN_NODE_SHARE = 0.99
"""Share of the draws that count when weighed by the density of the finest nodes; draws a tenth of an error off have it."""


def r_hat_in_words(value: float) -> str:
    """Write R̂ rounded up: what reads as the limit does not exceed it."""
    return f"{np.ceil(1e3 * value) / 1e3:.3f}"


@dataclass(frozen=True)
class Sampler:
    """What a sampler is called.

    Attributes
    ----------
    short, words : str
        In diagnostics, and in the paragraph on methods.
    program : str
        That has it.
    """

    short: str
    words: str
    program: str


CONVERGED = "converged"
"""``status`` where all shards converged, to the posterior of all data."""

SAMPLERS = {"nuts": Sampler("NUTS", "No-U-Turn sampler", "NumPyro")}
"""By the ``method`` of cmc.json."""


@dataclass(frozen=True)
class Agreement:
    """Test of the shards' own means about the common one.

    Attributes
    ----------
    chi2 : float
    dof : int
    p_value : float
    """

    chi2: float
    dof: int
    p_value: float


@dataclass(frozen=True)
class FailedShard:
    """A shard that is left out, and why.

    Attributes
    ----------
    shard : int
    reason : str
        A sentence.
    """

    shard: int
    reason: str


@dataclass(frozen=True)
class ShardReport:
    """The chains of a shard, and what the shard alone found.

    Attributes
    ----------
    shard, attempts, n_warmup : int
        Number of the shard, of the attempts to sample it, and of the adaptation draws of a chain.
    jumps : bool
        Whether chains also jumped.
    node_share : float
        Share of the draws that count where each is weighed by the density of the finest nodes over that of the nodes in use.
    max_r_hat, min_ess_bulk, min_ess_tail : float
        Worst of all numbers.
    divergences : int
    bfmi : float
        Of the worst chain.
    converged, usable : bool
    reasons : list of str
        Why they did not converge.
    r_hat, ess_bulk, ess_tail : dict of str to float
    mean, sd : dict of str to float
        Of the shard alone [units of the parameter table].
    """

    shard: int
    attempts: int
    n_warmup: int
    jumps: bool
    node_share: float
    max_r_hat: float
    min_ess_bulk: float
    min_ess_tail: float
    divergences: int
    bfmi: float
    converged: bool
    usable: bool
    reasons: list[str]
    r_hat: dict[str, float]
    ess_bulk: dict[str, float]
    ess_tail: dict[str, float]
    mean: dict[str, float]
    sd: dict[str, float]


@dataclass(frozen=True)
class SamplerReport(JsonFile):
    """What is to be said of the chains; the content of cmc.json.

    Attributes
    ----------
    method : str
        A name of ``SAMPLERS``.
    status : str
    n_shards, n_converged, n_chains, n_draws : int
        Chains in each shard, draws of a chain.
    agreement : Agreement or None
        None for a single shard.
    pareto_k : float or None
        Shape of the tail of the weights; None for a single shard.
    led_by_prior : list of str
        Of which rates the posterior is not that of the data alone, in sentences; ``warnings`` begin with them.
    warnings : list of str
    failed : list of FailedShard
    shards : list of ShardReport
    """

    method: str
    status: str
    n_shards: int
    n_converged: int
    n_chains: int
    n_draws: int
    agreement: Agreement | None
    pareto_k: float | None
    led_by_prior: list[str]
    warnings: list[str]
    failed: list[FailedShard]
    shards: list[ShardReport]

    @property
    def converged(self) -> bool:
        """Whether all shards converged, to the posterior of all data."""
        return self.status == CONVERGED

    @property
    def sound(self) -> bool:
        """Whether the chains converged, and the data decide, not the prior."""
        return self.converged and not self.led_by_prior

    @property
    def sampler(self) -> Sampler:
        """What ``method`` is called."""
        return SAMPLERS[self.method]
