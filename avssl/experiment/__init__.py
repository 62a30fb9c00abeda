"""What a run is from beginning to end: options, data and their parts, fit, controls, pictures, report, evaluation.

The command line and the functions of ``avssl`` are two doors to it.
"""
