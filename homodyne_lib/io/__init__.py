"""Files: two-time data of every layout in, the canonical file in and out, and nothing half-written.

:func:`~homodyne_lib.io.reader.read_two_time` makes a record
(:class:`~homodyne_lib.io.correlations.Correlations`) of a file: it finds the layout
(:mod:`~homodyne_lib.io.formats`), selects bins and frames, completes the matrices and checks them.
:mod:`~homodyne_lib.io.canonical_file` keeps the record. Every HDF5 file is opened through
:mod:`~homodyne_lib.io.hdf5` and written through :mod:`~homodyne_lib.io.hdf5_writing`.
"""
