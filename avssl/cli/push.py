"""``avssl push``: a finished run on a Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.cli.command import parsed
from avssl.experiment.push import PushOptions, push_run
from avssl.system.console import counted, log, size

WHAT = """Put a finished run on a Hugging Face Hub, where avssl.load("hf://ORG/NAME") finds it. These files go there:

  README.md      the model card, written from the run: figures with intervals and controls, data, limits, licence
  encoders/      weights as safetensors, and what they are
  heads/         the other weights of each task's network
  config.yaml    its options                     results/*.json   its figures
  sheet.png      held-out puzzles with answers   curves.png       (not with --no-pictures)

Options and results name data and files, without the folders that they lie in; checkpoints and logs stay here. The
hub is huggingface.co, or the one that HF_ENDPOINT names."""
EXAMPLE = """avssl push runs/mine lab/sounding-objects --license mit --dry-run
avssl push runs/mine lab/sounding-objects --license mit --private"""


def run(argv: Sequence[str]) -> None:
    """Push."""
    from avssl.report.tables import console, fitted_table

    options = parsed(argv, PushOptions, "avssl push", WHAT, EXAMPLE)
    pushed = push_run(options)
    screen = console()
    rows = [[name, size(number)] for name, number in pushed.files.items()]
    screen.print(fitted_table(["file", "size"], rows, screen, right={1}))
    screen.print()
    total = f"{counted(len(pushed.files), 'file')}, {size(sum(pushed.files.values()))}"
    if pushed.address is None:
        log(f"{total}; nothing was pushed (--dry-run). The card is {pushed.card}")
    else:
        log(f'{total}: {pushed.address}; in Python: avssl.load("hf://{options.repository}")')
