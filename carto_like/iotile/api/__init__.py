"""The connection to IOTile Cloud, and its errors, under the names scripts know."""
