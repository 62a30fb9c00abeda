"""Audio-visual correspondence: do this frame and this second of sound belong together?

L3-Net (Arandjelović & Zisserman 2017), AVE-Net and AVOL-Net (2018) by ``--fusion``.
"""
