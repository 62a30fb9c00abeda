"""Instance discrimination: which is another view of the same picture? SimCLR, MoCo v2 and PIRL."""
