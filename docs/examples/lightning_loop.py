"""The same in Lightning: python lightning_loop.py VIDEOS"""

import sys

import lightning
from torch.optim import AdamW
from torch.utils.data import DataLoader

import avssl

task = avssl.task("av-correspondence", side=112)
data = avssl.PuzzleDataset(task, sys.argv[1], fit=True)


class Puzzles(lightning.LightningModule):
    def on_train_epoch_start(self):
        data.set_epoch(self.current_epoch)

    def training_step(self, batch, step):
        return self.model(**batch)

    def configure_optimizers(self):
        return AdamW(self.parameters(), lr=1e-3)


module = Puzzles()
module.model = avssl.PuzzleModel(task)
loader = DataLoader(data, batch_size=4, collate_fn=data.collate)
lightning.Trainer(max_epochs=2, logger=False, enable_checkpointing=False).fit(module, loader)
