"""Vision subnetwork, audio subnetwork with its spectrogram, fusions, heads: plain modules."""
