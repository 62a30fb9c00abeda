"""One loop for any number of tasks: devices, precision, schedule, checkpoints, progress, run folder.

Import from the modules: ``avssl.trainer.loop`` (``fit``), ``avssl.trainer.plan`` (``TaskPlan``),
``avssl.trainer.options``, ``avssl.trainer.run_folder``. Nothing is imported here, as torch takes seconds.
"""
