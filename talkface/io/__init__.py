"""Media and files: video, sound, the processed folder, origin marks."""
