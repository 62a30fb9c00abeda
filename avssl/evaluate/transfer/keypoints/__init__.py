"""Joints of people: a small head on an encoder, PCK and PCKh."""
