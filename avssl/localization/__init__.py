"""From a trained model, a frame and a sound to a map of where the sound comes from; and the video that shows it."""
