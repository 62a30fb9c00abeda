"""Colorization: which colours does this grey picture have? (Zhang, Isola & Efros, 2016; regression as its baseline.)"""
