"""Files and containers: the frame shown at a time, the sound between two times, what is wrong with a file."""
