"""From matrices of c2 and a model to the sums that a fit or a sampler needs.

One pass over the data (:mod:`~homodyne_lib.likelihood.compression`) makes a few thousand nodes that stand for all pairs of
frames. A :class:`~homodyne_lib.likelihood.problem.Problem` joins them with model and scaling;
:mod:`~homodyne_lib.likelihood.nodes` gives the sums of residuals and derivatives, and
:mod:`~homodyne_lib.likelihood.strips` computes the model at the pairs themselves.
:mod:`~homodyne_lib.likelihood.normal_equations` solves for contrast and offset and makes the equations of the rest.
"""
