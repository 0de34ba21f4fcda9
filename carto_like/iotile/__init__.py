"""IOTile Cloud: the drop-in modules of its client, and the same platform in this project's own shape."""
