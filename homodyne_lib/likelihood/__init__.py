"""From matrices of c2 and a model to the sums that a fit or a sampler needs.

A :class:`~homodyne_lib.likelihood.problem.Problem` joins data, model and scaling. A few thousand nodes
(:mod:`~homodyne_lib.likelihood.nodes`) stand for all pairs of frames, and give the sums of residuals and derivatives;
:mod:`~homodyne_lib.likelihood.strips` computes the model at the pairs themselves.
:mod:`~homodyne_lib.likelihood.normal_equations` solves for contrast and offset and makes the equations of the rest.
"""
