"""What methods learn from: one processed person; drawn speakers."""
