"""Which files are there, what is in them, and whether they can be used: inspected once, kept in the cache."""
