"""Audio-visual correspondence: do this frame and this second of sound belong together?"""
