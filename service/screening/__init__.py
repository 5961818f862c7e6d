"""The one path of an image: bytes → the network's input → an answer, and its heatmap."""
