"""From which logit on something counts as heard: fitted at the end of a training of a network that points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avssl.media.skip_bad_files import on_readable
from avssl.system.console import log

if TYPE_CHECKING:
    from torch import nn

    from avssl.experiment.data import Parts
    from avssl.tasks.base import Task
    from avssl.trainer.run_folder import RunFolder


def fit_heard(task: Task, network: nn.Module, parts: Parts, folder: RunFolder, skip: bool) -> None:
    """Fit the threshold of a run on its validation part, without any truth; nothing for networks that do not point.

    Args:
        skip: whether bad files are left out.
    """
    if task.name != "av-correspondence":  # whatever it is, it needs none of the rest
        return
    from avssl.evaluate.localization.threshold import threshold_of_moments, write_threshold
    from avssl.localization.localizer import Localizer
    from avssl.localization.pointing import not_made_to_point
    from avssl.networks.correspondence import CorrespondenceNetwork
    from avssl.networks.model import Model
    from avssl.samplers.correspondence import PairRule
    from avssl.tasks.av_correspondence.task import AVCorrespondence

    if not isinstance(task, AVCorrespondence) or not isinstance(network, CorrespondenceNetwork):
        return
    if parts.validation is None or not_made_to_point(network.fusion.name):
        return
    localizer = Localizer(Model(network.vision, network.audio, network.fusion))
    options = task.options
    rule = PairRule(seconds=options.seconds, rate=options.rate, min_loudness_db=options.min_loudness_db)
    threshold = on_readable(parts.validation, lambda part: threshold_of_moments(part, localizer, rule), skip=skip)
    fitted = f"moments of {len(parts.validation)} validation clips"
    write_threshold(folder.path, threshold, fitted)
    log(f"something is heard in a picture from a logit of {threshold:.2f} on, fitted on {fitted}")
