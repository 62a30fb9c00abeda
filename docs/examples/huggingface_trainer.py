"""The same with Hugging Face's Trainer: python huggingface_trainer.py VIDEOS OUT"""

import sys

from transformers import Trainer, TrainingArguments

import avssl

task = avssl.task("av-correspondence", side=112)
data = avssl.PuzzleDataset(task, sys.argv[1], fit=True)
arguments = TrainingArguments(sys.argv[2], num_train_epochs=2, per_device_train_batch_size=4, report_to="none")
trainer = Trainer(avssl.PuzzleModel(task), arguments, data_collator=data.collate, train_dataset=data)
trainer.train()  # it calls data.set_epoch
