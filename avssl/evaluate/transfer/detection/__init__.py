"""Objects and their boxes: Faster R-CNN on an encoder, average precision."""
