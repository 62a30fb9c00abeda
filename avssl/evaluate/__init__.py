"""Protocols in families, a folder each; metrics are pure functions of arrays."""
