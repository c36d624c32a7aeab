"""Figures 1 to 8: first as plain values, which two renderers then draw.

`draw` makes files with matplotlib. `svg` makes the pictures inside the HTML report: without matplotlib, whose
import alone takes as long as the whole report may, and with the page's own fonts and dark colours.
"""
