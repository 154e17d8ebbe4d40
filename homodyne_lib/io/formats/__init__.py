"""Layouts of two-time files, each in its own module, and their common parts.

A layout lists its bins as a ``io.formats.catalogue.Catalogue``; ``io.formats.registry`` knows
all layouts and finds that of a file. A new layout is a module here with a ``LAYOUT``, and a line there.
"""
