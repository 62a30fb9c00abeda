"""Synchronization: are these frames and this sound in step?"""
