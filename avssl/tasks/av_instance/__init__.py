"""Cross-modal instance discrimination: which sound of the memory bank is this video's?"""
