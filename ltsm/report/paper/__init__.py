"""What is the paper's alone: its Table 1, Figures 1 to 8, the numbers of its text, and how ours compare with them."""
