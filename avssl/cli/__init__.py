"""One file a command: options in, calls, one line of error out."""
