"""What is run: recipes, and the studies that they make up. Plain values, standard library alone."""
