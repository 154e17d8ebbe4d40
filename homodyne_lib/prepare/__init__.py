"""Steps before a fit: the noise of the entries of c2, the diagonal, first values of contrast and offset.

All take and return arrays. :mod:`~homodyne_lib.prepare.entry_noise` estimates the standard deviation of an entry,
:mod:`~homodyne_lib.prepare.diagonal` replaces the diagonal, :mod:`~homodyne_lib.prepare.quantiles` estimates contrast
and offset and warns where the estimate cannot be trusted.
"""
