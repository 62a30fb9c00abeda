"""Jigsaw: which permutation shuffled the nine tiles? (Noroozi & Favaro 2016; at scale Goyal et al. 2019)"""
