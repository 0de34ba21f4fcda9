"""Algorithms shared by the SDK and the server: standard library only, no I/O, no clock, no logging."""
