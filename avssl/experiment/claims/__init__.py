"""Claims of the field, each by one command: what ``avssl reproduce`` and :func:`avssl.reproduce` do."""
