"""Fetching clips that published lists name: the lists, the pace that a host is asked at, and the clip itself."""
