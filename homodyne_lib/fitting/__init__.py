"""Least squares: starting points, descents, and what the data cannot determine.

:func:`~homodyne_lib.fitting.nlsq.fit_nlsq` searches the whole parameter space (:mod:`~homodyne_lib.fitting.starts`), descends
from the best points (:mod:`~homodyne_lib.fitting.descent`), and says in sentences which parameters the data leave open
(:mod:`~homodyne_lib.fitting.identifiability`). A certificate shows that the nodes stand for all pairs of frames
(:mod:`~homodyne_lib.fitting.certificate`).
"""
