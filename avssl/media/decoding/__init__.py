"""From packets to pictures and samples at exact times, by the clock that :mod:`avssl.media.indexing.inspect` makes."""
