"""What reports and the summary say: sentences, tables, LaTeX, and the results of a dataset as they are read from its folder.

:mod:`report_text.dataset` reads the result files. :mod:`report_text.sentences` and :mod:`report_text.tables` write for the
report and the summary, :mod:`report_text.exports` for other programs, :mod:`report_text.methods` for a paper.
"""
