"""Relative position: where does the second patch lie, seen from the first? (Doersch, Gupta & Efros 2015)"""
