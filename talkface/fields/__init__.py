"""Radiance fields: encodings, rays, occupancy, rendering."""
