"""Texts to be spoken: an open vocabulary from WordNet, and passages of prose."""
