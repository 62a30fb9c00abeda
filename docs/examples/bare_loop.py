"""Puzzles in a plain PyTorch loop: python bare_loop.py VIDEOS"""

import sys

from torch.optim import AdamW
from torch.utils.data import DataLoader

import avssl

task = avssl.task("av-correspondence", side=112)
data = avssl.PuzzleDataset(task, sys.argv[1], fit=True)  # normalises spectrograms by the statistics of these videos
model = avssl.PuzzleModel(task)
optimizer = AdamW(model.parameters(), lr=1e-3)
for epoch in range(2):
    data.set_epoch(epoch)  # other puzzles of the same videos
    for batch in DataLoader(data, batch_size=4, collate_fn=data.collate):
        optimizer.zero_grad()
        model(batch)["loss"].backward()
        optimizer.step()
