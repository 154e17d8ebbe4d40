"""The steps of an analysis, one module each, in the order in which they are taken.

The workflow's scripts and :mod:`homodyne_lib.interface` call these functions, so that both give the same numbers: a script
adds files and a log, the interface adds nothing. A step takes and returns the objects of :mod:`homodyne_lib.io` and
:mod:`homodyne_lib.results`.

* :mod:`~homodyne_lib.steps.simulated`: a record of a simulation
* :mod:`~homodyne_lib.steps.ingested`: a record of a file, with its noise
* :mod:`~homodyne_lib.steps.diagonal`: the record with another diagonal
* :mod:`~homodyne_lib.steps.quantiles`: first contrast and offset of each angle
* :mod:`~homodyne_lib.steps.fitted`: the fit, its test for a flow, and what it misses
* :mod:`~homodyne_lib.steps.calibrated`: the errors that its residuals call for
* :mod:`~homodyne_lib.steps.apart`: each q and each repeat alone, and whether they agree
* :mod:`~homodyne_lib.steps.sampled`: the draws of a shard, and its weights
* :mod:`~homodyne_lib.steps.combined`: the posterior of all shards
"""
