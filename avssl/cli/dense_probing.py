"""What the commands of detection and normals share: options, and the run's encoder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from avssl.cli.options import Command, Option, Values
from avssl.errors import UserError

if TYPE_CHECKING:
    from avssl.networks.vision import VisionEncoder


def dense_command(name: str, what: str, example: str, data: str, test: str, options: list[Option]) -> Command:
    """The command line of a protocol that trains a head on an encoder of pictures.

    Args:
        data, test: what --data and --test take.
        options: of the protocol alone.
    """
    command = Command(f"avssl evaluate {name}", what, example)
    command.add(
        [
            Option("run", str | None, None, "the folder of a finished run", metavar="RUN"),
            Option("encoder", str | None, None, "which of its encoders: vision, vision-TASK (default: what there is)"),
            Option("data", str | None, None, data),
            Option("test", str | None, None, test),
            Option(
                "output", str | None, None, "folder for rows and picture (default: results/ of the run)", "-o", "DIR"
            ),
            Option("seed", int, 0, "of the random network, the head, and the order of pictures"),
            Option("seeds", int, 1, "how many times all is repeated; three for a claim"),
            Option("draws", int, 2000, "draws of pictures for the intervals"),
            Option("device", str, "auto", "auto, cpu, cuda, cuda:1, mps"),
        ]
    )
    command.add(options, "the protocol")
    return command


def check_dense(values: Values, name: str, data: str) -> None:
    """Refuse what is wrong at sight, before anything heavy is loaded.

    Raises:
        UserError: an option that is missing or does not fit.
    """
    for option, what in (("run", "--run RUN, the folder of a finished run"), ("data", f"--data D, {data}")):
        if values[option] is None:
            raise UserError(f"avssl evaluate {name} wants {what}")
    for option in ("steps", "seeds", "draws", "batch_size"):
        if values[option] < 1:
            raise UserError(f"--{option.replace('_', '-')} ({values[option]}) must be at least 1")
    if values["rate"] <= 0:
        raise UserError(f"--rate ({values['rate']:g}) must be above 0, such as 1e-3")
    if values["side"] < 32:
        raise UserError(f"--side ({values['side']}) must be at least 32")


def vision_of(values: Values) -> VisionEncoder:
    """The encoder of pictures that was asked for, or the run's first.

    Raises:
        UserError: the run has none, or the one named hears.
    """
    from avssl.evaluate.data.encoders import encoder_names, open_encoder
    from avssl.networks.vision import VisionEncoder

    run, name = values["run"], values["encoder"]
    if name is None:
        fitting = [one for one in encoder_names(Path(run)) if one.split("-")[0] == "vision"]
        if not fitting:
            raise UserError(f"{run} has no encoder of pictures")
        name = "vision" if "vision" in fitting else fitting[0]
    encoder = open_encoder(run, name)
    if not isinstance(encoder, VisionEncoder):
        raise UserError(f"--encoder {name} hears; this protocol wants an encoder of pictures")
    return encoder
