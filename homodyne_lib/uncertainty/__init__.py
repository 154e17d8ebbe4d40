"""Error bars under the noise of speckles and photons, whether residuals hold more than noise, and whether fits agree.

:mod:`~homodyne_lib.uncertainty.intensities` has the covariance of the intensity of a pixel,
:mod:`~homodyne_lib.uncertainty.speckle_moments` the moments of its noise,
:mod:`~homodyne_lib.uncertainty.noise_kinds` says what follows from each kind of noise,
:mod:`~homodyne_lib.uncertainty.noise_choice` finds the kind of noise and its strength from the residuals, and
:func:`~homodyne_lib.uncertainty.calibration.calibrate` gives the covariance of a fit under it.
:mod:`~homodyne_lib.uncertainty.misfit` compares the residuals, summed by :mod:`~homodyne_lib.uncertainty.residual_sums`, with
patterns that noise does not have. :mod:`~homodyne_lib.uncertainty.two_fits` compares least squares with the fit in the
metric of speckle noise, and :mod:`~homodyne_lib.uncertainty.parts` fits of each q and each repeat alone.
"""
