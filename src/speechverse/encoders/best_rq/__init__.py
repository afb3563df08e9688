"""BEST-RQ: masked prediction of the codes of a random-projection quantizer (PAPER.md section 8)."""
