"""Sheets, curves, HTML."""
