"""A puzzle of your own, was this picture turned upside down?: python own_task.py PHOTOS RUN"""

import sys

import avssl
from avssl.tasks.one_picture import OnePictureTask


class UpsideDown(OnePictureTask):
    name, labels = "upside-down", ("upright", "upside down")

    def puzzle(self, square, rng):
        label = rng.integers(2)
        return (square[:, ::-1] if label else square), label


run = avssl.train(UpsideDown(), *sys.argv[1:], steps=20, batch_size=8, workers=0, control_puzzles=64)
print(f"held out: {run.results[0].value:.0%} right; chance is 50 %")
