"""Sounds of any length: cut at pauses, written down piece by piece, answered about as a whole."""
