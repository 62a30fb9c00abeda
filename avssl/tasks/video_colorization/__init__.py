"""Video colorization: from which place of the frames before does each pixel take its colour? (Vondrick et al. 2018)"""
