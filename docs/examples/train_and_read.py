"""Train, and read the results, without the command line: python train_and_read.py DATA RUN"""

import sys

import torch

import avssl

data, out = sys.argv[1:]
run = avssl.train("rotation", data, out, side=64, steps=20, batch_size=8, workers=0, control_puzzles=64)
for row in run.results:
    print(f"{row.name:18} {row.metric} {row.value:.3f} ({row.low:.3f} to {row.high:.3f}), chance {row.chance}")
print("loss", [round(line["loss"], 3) for line in run.history if line["split"] == "train"])
run.sheet().save(f"{out}/answers.png")
vision = avssl.Run(out).encoders["vision"]  # a plain nn.Module, from the folder of the run
frames = torch.from_numpy(avssl.open(data)[0].frames())
for name, features in vision.stages(run.model.prepare_frames(frames)).items():
    print(name, tuple(features.shape))
