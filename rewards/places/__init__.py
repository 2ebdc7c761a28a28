"""Where a reward runs: in this process, in a child, in an environment of its own, elsewhere.

The training loop sees a `Place` and cannot tell which one it is.
"""
