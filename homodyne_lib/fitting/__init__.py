"""The fit by least squares, what the data cannot determine, and the fit in the metric of speckle noise.

:func:`~homodyne_lib.fitting.limits.check_search` refuses what no search can begin with.
:func:`~homodyne_lib.fitting.nlsq.fit_nlsq` searches the whole parameter space (:mod:`~homodyne_lib.fitting.starts`), descends
from the best points (:mod:`~homodyne_lib.fitting.descent`), and says in sentences which parameters the data leave open
(:mod:`~homodyne_lib.fitting.identifiability`). A certificate shows that the nodes stand for all pairs of frames
(:mod:`~homodyne_lib.fitting.certificate`). From the minima of least squares, :mod:`~homodyne_lib.fitting.speckle_fit` fits
once more, with pairs of frames weighted by the covariance of their noise.
"""
