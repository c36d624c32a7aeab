"""Figures: first as plain values, which `draw` then makes files of, and the pictures inside the HTML report."""
