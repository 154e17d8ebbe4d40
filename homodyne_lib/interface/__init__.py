"""The interface of the library: read, fit, sample and plot a measurement, in a notebook.

Each function is a few steps of :mod:`homodyne_lib.steps`, which the workflow takes too: equal settings give equal numbers.
The defaults of the keywords are those of the workflow's configuration.

:mod:`~homodyne_lib.interface.data` makes the record, :mod:`~homodyne_lib.interface.analysis` fits and samples it, and
:mod:`~homodyne_lib.interface.drawing` plots it.

Examples
--------
>>> import homodyne_lib as hd                                       # doctest: +SKIP
>>> c2 = hd.load("run.h5", q=0.0101, dt=0.0013)                     # doctest: +SKIP
>>> fit = hd.fit(c2, mode="static")                                 # doctest: +SKIP
>>> posterior = hd.sample(fit)                                      # doctest: +SKIP
>>> hd.plot(c2, fit, posterior)                                     # doctest: +SKIP
"""
