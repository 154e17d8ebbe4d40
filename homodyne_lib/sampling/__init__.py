"""Consensus Monte Carlo: NUTS on shards of the data, and the posterior of all data from their draws.

:class:`~homodyne_lib.sampling.posterior.ShardPosterior` is the density of a shard in the coordinates of
:mod:`~homodyne_lib.sampling.coordinates`; :mod:`~homodyne_lib.sampling.nuts` draws from it.
:mod:`~homodyne_lib.sampling.consensus` combines the shards, :mod:`~homodyne_lib.sampling.importance` corrects the
combination by exact weights, and :mod:`~homodyne_lib.sampling.sandwich` spreads the draws to calibrated errors. Their
equations are numbered in docs/posterior.md.
"""
