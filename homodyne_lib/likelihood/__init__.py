"""From matrices of c2 and a model to the sums and inner products that a fit or a sampler needs.

One pass over the data (:mod:`~homodyne_lib.likelihood.compression`) makes a few thousand nodes that stand for all pairs of
frames. A :class:`~homodyne_lib.likelihood.problem.Problem` joins them with model and scaling;
:mod:`~homodyne_lib.likelihood.nodes` gives the sums of residuals and derivatives, and
:mod:`~homodyne_lib.likelihood.strips` computes the model at the pairs themselves.
:mod:`~homodyne_lib.likelihood.normal_equations` solves for contrast and offset and makes the equations of the rest.

In the metric of speckle noise, inner products of whole matrices stand in the place of these sums
(:mod:`~homodyne_lib.likelihood.speckle_metric`). Where a posterior lies, :mod:`~homodyne_lib.likelihood.span` gets them from
few snapshots of the model. In long records, :mod:`~homodyne_lib.likelihood.merged_frames` merges neighbouring frames first.
"""
