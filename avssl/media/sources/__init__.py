"""Which items were cut from one source, so that they are never on both sides of a split.

found = find_sources(media)                  # by given sources, names, bytes, frames, sound, borders and hums
media = with_sources(media, found)           # the same items, whose facts(i).source is the one found
print("\\n".join(found.lines()))

Items are grouped only when near-certain: a wrong group costs negatives and test data. Weaker evidence is in
``warnings``.
"""

from avssl.media.sources.finding import find_sources, sources_in_both
from avssl.media.sources.source_groups import Likeness, Sources, with_sources

__all__ = ["Likeness", "Sources", "find_sources", "sources_in_both", "with_sources"]
