"""Faces in pictures: detection, model, fit, regions, torso."""
