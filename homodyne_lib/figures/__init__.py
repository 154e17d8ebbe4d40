"""Figures, and the numbers that they show; arrays come in, Matplotlib figures go out.

:mod:`~homodyne_lib.figures.style` holds sizes and colours. :mod:`~homodyne_lib.figures.comparison` and
:mod:`~homodyne_lib.figures.decay_bands` reduce data and model to what can be drawn.
"""
