"""Label propagation: what is marked in the first frame, carried through a video by an encoder's features."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.evaluate.choices import BootstrapChoices, PropagationChoices
from avssl.experiment.learned import seen_by
from avssl.experiment.protocols.base import ComputeOptions, EncoderOptions, Subject, log_passed_over
from avssl.experiment.results import Beside, Outcome
from avssl.options import option
from avssl.system.console import counted, log, progress

if TYPE_CHECKING:
    from avssl.evaluate.transfer.propagation.protocol import Propagated
    from avssl.evaluate.transfer.propagation.videos import VideoSet


@dataclass(frozen=True)
class Propagation(PropagationChoices, BootstrapChoices, ComputeOptions, EncoderOptions):
    about = """Do an encoder's features follow things? Masks or key points of the first frame are carried through each
    video: every cell takes the labels of the cells most like it in the first frame and the few before. Beside the same
    network with random weights, the first labels left where they are, and the colour of the cells. Of masks region
    similarity J, contour accuracy F, their mean, recall and decay as DAVIS 2017 has them, and the overlap of boxes; of
    key points PCK, with lost ones counted as wrong and left out.

    --data is a folder as DAVIS 2017 (JPEGImages/480p, Annotations/480p, ImageSets/2017) or JHMDB (joint_positions,
    Rename_Images, splits), a folder with frames/NAME/ and masks/NAME/, a generated world, or one video with --mask.
    Without it: generated clips of things that hide each other, half of them alike."""
    examples = """avssl evaluate propagation --run runs/video-colorization
    avssl evaluate propagation --run runs/rotation --data DAVIS/ --stage layer3 --window 24
    avssl evaluate propagation --encoder timm:vit_small_patch16_224:dino.pth --data JHMDB/ -o results/
    avssl evaluate propagation --run runs/rotation --data clip.mp4 --mask first.png -o results/"""
    heading = "the protocol"

    data: str | None = option(None, "videos with labels (default: generated ones)")
    split: str | None = option(None, "whose videos (default: val of DAVIS, test of others)")
    mask: str | None = option(None, "of one video: a picture that marks the objects of its first frame", metavar="PNG")
    flow: bool = option(False, "a row of optical flow, which needs the extra [flow]")
    overlays: int = option(4, "videos whose carried labels are drawn over them", low=0)

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        from avssl.evaluate.transfer.propagation.folders import open_videos
        from avssl.evaluate.transfer.propagation.protocol import propagate
        from avssl.evaluate.transfer.propagation.scoring import propagation_rows

        place = self.data
        if place is None:
            from avssl.experiment.generated import tracking_world

            place = str(tracking_world())
        videos = open_videos(place, self.split, self.mask)
        log(f"{len(videos.videos)} of {counted(videos.listed, 'video')} of {place} ({videos.name}, {videos.split})")
        log_passed_over(videos.passed_over)
        encoder = subject.image_encoder(self.encoder).to(self.torch_device())
        with progress("carrying", "video") as on_progress:
            found = propagate(
                encoder, videos, self, self.seed, flow=self._flow(), show=self.overlays, on_progress=on_progress
            )
        how = f"{found.stage}, maps of {found.map_size[0]} by {found.map_size[1]}, window ±{found.window}"
        rows, title = [], ""
        # Of one video with --mask only the first frame is known, which is what was given.
        if any(map(len, found.scores["trained"])):
            protocol = f"{name}, {how}, context {self.context}, top {self.top}, temperature {self.temperature:g}"
            context = subject.context(protocol, self.seed, 0, self.draws)
            rows = propagation_rows(found.scores, [video.source for video in videos.videos], videos.kind, context)
            title = f"{subject}, {how}, on {counted(len(videos.videos), 'video')} of {place}"
        else:
            log("no labels beyond the first frame: nothing to score, and the overlay shows what was carried")
        return Outcome(
            name=name,
            rows=rows,
            title=title,
            place=place,
            seen=seen_by(subject.run, [video.file for video in videos.videos], place),
            beside=self._beside(found, videos),
        )

    def _flow(self) -> Any:
        if not self.flow:
            return None
        from avssl.evaluate.data.optical_flow import need_opencv
        from avssl.evaluate.transfer.propagation.flow import carry_by_flow

        need_opencv()
        return carry_by_flow

    def _beside(self, found: Propagated, videos: VideoSet) -> list[Beside]:
        from avssl.evaluate.transfer.propagation.overlay import draw_sheet

        def sheet(outcome: Outcome, path: Path) -> bool:
            return draw_sheet(path, outcome.heading if outcome.title else outcome.name, found.shown, found.scores)

        def film(outcome: Outcome, path: Path) -> bool:
            return _write_movie(path, found, videos.seconds_a_frame)

        return [Beside("picture", ".png", sheet), Beside("overlay", ".mp4", film)]


def _write_movie(path: Path, found: Propagated, seconds_a_frame: float) -> bool:
    """All videos that are shown, one after the other; False where there is none."""
    from avssl.evaluate.transfer.propagation.overlay import movie_frames
    from avssl.localization.movie import movie

    if not found.shown:
        return False
    size, videos = movie_frames(found.shown)
    with movie(path, size, 1 / seconds_a_frame) as writer:
        for number, picture in enumerate(chain.from_iterable(videos)):
            writer.show(picture, number * seconds_a_frame, (number + 1) * seconds_a_frame)
    return True
