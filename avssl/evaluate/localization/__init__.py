"""Localization: metrics of maps, published protocols, annotation files, blind rows, rows.

:mod:`metrics` holds pure functions of one map and its truth, :mod:`protocols` the published evaluators with every
choice written down, :mod:`annotations` the published file formats, :mod:`blind` what scores without learning anything.
"""
