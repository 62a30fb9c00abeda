"""The version, where rooms below may ask for it without the public names above."""

__version__ = "0.1.0"
