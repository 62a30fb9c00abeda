"""An index of embeddings: the moments of a collection as vectors on disk, and what is nearest to a picture or sound.

:class:`~avssl.search.index.SearchIndex` is the index, opened; :mod:`avssl.search.building` makes one, adds to it and
forgets what is gone.
"""
