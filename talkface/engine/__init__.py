"""How methods learn: stages, the loop, the run folder."""
