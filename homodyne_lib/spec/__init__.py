"""The specification's modules under their own names: each name with the signature that the specification gives it.

These modules are thin: the work is done in the other packages, which do not import this one. docs/api.md says what
each section of the specification asks for, and where it is.
"""
