"""What the result files hold, as objects that read and write their own file.

* :class:`~homodyne_lib.results.scalings.QuantileScaling`: scaling.json
* :class:`~homodyne_lib.results.fits.Fit`: nlsq.json
* :class:`~homodyne_lib.results.calibrations.Calibration`: calibration.json
* :class:`~homodyne_lib.results.posteriors.Posterior`: posterior.nc, cmc.json and parameters.csv

:mod:`~homodyne_lib.results.fit_records` and :mod:`~homodyne_lib.results.posterior_records` make them of what a fit and a
sampler return, :mod:`~homodyne_lib.results.misfit_words` says what a fit misses. All but ``QuantileScaling`` print as a
table, and show in a notebook (:mod:`~homodyne_lib.results.shown`).
"""
