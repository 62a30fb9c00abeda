"""What every room asks of the operating system: files that appear whole, the cache, locks, processes, progress."""
