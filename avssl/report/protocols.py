"""Titles and order of result files in the report, and the commands that make missing ones."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Protocol:
    """A kind of results.

    Attributes:
        title: heading of its section.
        about: a sentence: how to read it.
        command: what makes it, with RUN and D for what a person fills in; empty where training makes it.
        chart: "depth" or "labels" where the report draws one itself.
        hears: whether it can be asked only of encoders of picture and sound.
        expected: whether its absence is worth a line.
    """

    title: str
    about: str
    command: str = ""
    chart: str = ""
    hears: bool = False
    expected: bool = False


# By name of the file in ``results/``, without ``.json``.
PROTOCOLS = {
    "controls": Protocol(
        "Controls",
        "The trained network on held-out puzzles, beside what must stay at chance. A control above chance means that "
        "the puzzle gives its answer away.",
        expected=True,
    ),
    "neighbors": Protocol(
        "Nearest neighbours",
        "Queries and what lies nearest to them in the space of the trained encoder, beside random weights.",
        "avssl evaluate neighbors --run RUN --data D",
        expected=True,
    ),
    "linear": Protocol(
        "Linear probes by stage",
        "How much of the labels a linear classifier reads off the frozen features of each stage.",
        "avssl evaluate linear --run RUN --data D",
        chart="depth",
        expected=True,
    ),
    "knn": Protocol(
        "k nearest neighbours by stage",
        "How well the nearest neighbours in the frozen features of each stage predict the label.",
        "avssl evaluate knn --run RUN --data D",
        chart="depth",
    ),
    "svm": Protocol("Support vector machines by stage", "Linear SVMs on frozen features.", chart="depth"),
    "low-shot": Protocol(
        "Few labels", "Linear SVMs on frozen features, trained on few labels a class.", chart="labels"
    ),
    "finetune": Protocol(
        "Fine-tuning",
        "The whole encoder learns from labels, beside the same network from scratch.",
        chart="labels",
    ),
    "localization": Protocol(
        "Where the sound comes from",
        "Maps of the sound's place against boxes, beside maps that neither look nor listen.",
        "avssl evaluate localization --run RUN",
        hears=True,
        expected=True,
    ),
    "retrieval": Protocol(
        "Retrieval",
        "From the frame of a moment to the sounds of all of them, and back.",
        "avssl evaluate retrieval --run RUN --data D",
        hears=True,
        expected=True,
    ),
    "keypoints": Protocol("Keypoints", "Joints of people found with the encoder."),
    "detection": Protocol("Detection", "Boxes of objects found with the encoder."),
    "normals": Protocol("Surface normals", "The slope of surfaces, estimated with the encoder."),
    "propagation": Protocol(
        "Label propagation",
        "Masks or key points of a first frame, carried through videos by the similarity of features alone.",
        "avssl evaluate propagation --run RUN",
    ),
}


def protocol_of(name: str) -> Protocol:
    """What is known of a file of results: of a variant ("neighbors-sounds") what is known of its kind, with a title of
    its own; a name of no known kind is its own title."""
    kind = kind_of(name)
    if kind is None:
        return Protocol(name.replace("_", " "), "")
    known = PROTOCOLS[kind]
    return known if name == kind else replace(known, title=f"{known.title}: {name[len(kind) + 1 :]}")


def kind_of(name: str) -> str | None:
    """The protocol of which a name is a variant: the longest that it is, or begins with before a dash."""
    # "low-shot" has a dash itself: the longest name wins.
    fitting = [kind for kind in PROTOCOLS if name == kind or name.startswith((f"{kind}-", f"{kind}_"))]
    return max(fitting, key=len, default=None)


def in_order(names: set[str]) -> list[str]:
    """Names of known kinds in the order of :data:`PROTOCOLS`, variants after their kind, then the others by name."""
    places = {kind: place for place, kind in enumerate(PROTOCOLS)}
    return sorted(names, key=lambda name: (places.get(kind_of(name) or "", len(places)), name))
