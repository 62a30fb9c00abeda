"""Which files are there, what is in them, and whether they can be used: looked at once, kept in the cache."""
