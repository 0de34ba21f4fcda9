"""What the platform does, without HTTP: a connection and plain values in, plain values out."""
