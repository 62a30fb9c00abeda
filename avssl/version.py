"""The version, in a module that lower rooms may import."""

__version__ = "0.1.0"
