"""What is drawn on several screens."""
