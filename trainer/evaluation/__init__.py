"""How good the answers are, on every set of images, and whether heatmaps can be believed."""
