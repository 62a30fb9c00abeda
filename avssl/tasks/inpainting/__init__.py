"""Inpainting: what was in the hole? (Context encoders, Pathak et al. 2016.)"""
