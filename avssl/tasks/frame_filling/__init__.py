"""Frame filling: what was shown between these frames, or in a tube of hidden patches?"""
