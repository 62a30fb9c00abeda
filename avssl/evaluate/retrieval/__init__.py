"""From pictures to sounds and back: embeddings, their files, nDCG and recall."""
