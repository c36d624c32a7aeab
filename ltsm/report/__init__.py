"""Table 1, Figures 1 to 6 and the comparison with the paper, from the store alone."""
