"""What is done with data and runs from beginning to end: ``avssl.audit``."""
