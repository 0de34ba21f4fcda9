"""What IOTile Cloud does, without HTTP: connections and plain values in, values out."""
