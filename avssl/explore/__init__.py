"""The page in the browser: search, heat, map, puzzles and figures of a run and a collection. ``avssl explore``."""
