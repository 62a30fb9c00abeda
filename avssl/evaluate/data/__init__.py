"""What is evaluated: labelled media, published split files, encoders of a run, features of their stages."""
