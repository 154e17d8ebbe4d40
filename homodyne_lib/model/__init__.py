"""The model of two-time correlations: its parameters, the physics of a pair of frames, and on what it computes.

Read :mod:`~homodyne_lib.model.parameters` first, the table of parameters with units and bounds, and
:mod:`~homodyne_lib.model.model`, which says what parameters a model has. D(t), the shear rate and their integrals on the
time axis are in :mod:`~homodyne_lib.model.rates`; g1 and g2 of a pair, once for the whole library, in
:mod:`~homodyne_lib.model.kernels`. A layout (:mod:`~homodyne_lib.model.layouts`) says which pairs of frames at which
angles; :mod:`~homodyne_lib.model.geometry` holds the two numbers by which q, L and dt enter;
:mod:`~homodyne_lib.model.scaling` how contrast and offset vary over the angles. Nothing here reads a file.
"""
