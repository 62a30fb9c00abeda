"""One loop for any number of tasks: devices, precision, schedule, checkpoints, progress, run folder."""
