"""Relative position: where does the second patch lie relative to the first? (Doersch, Gupta & Efros 2015)"""
