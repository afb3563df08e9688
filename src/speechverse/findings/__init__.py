"""The paper's experiments, re-run on a user's model and data: each claim with what it was measured
by, and whether it held.
"""
