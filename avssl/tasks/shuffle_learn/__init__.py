"""Shuffle & Learn: are these three frames in temporal order? (Misra, Zitnick & Hebert, ECCV 2016)"""
