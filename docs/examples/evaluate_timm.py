"""A timm network beside a run: k-NN on the features of both, on the same labelled pictures.

python evaluate_timm.py runs/rotation photos/ timm:vit_small_patch16_224.dino weights.safetensors
"""

import sys

import avssl

run, photos, network, *weights = sys.argv[1:]  # without weights they are random
rows = avssl.evaluate("knn", run, photos, beside=[":".join([network, *weights])])
for row in rows:
    if row.metric == "accuracy" and "/" not in row.name:  # rows of single stages have one
        print(f"{row.name:30} {row.value:.3f} ({row.low:.3f} to {row.high:.3f})  {row.note}")
