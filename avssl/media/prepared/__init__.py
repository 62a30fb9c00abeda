"""Prepared sets: media decoded once into shards that are read at random."""
