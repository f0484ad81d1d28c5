"""Finished transcripts, and where they come from.

gathering  from the checkpoints of a job, or from what is published already
"""
