"""IOTile Cloud's own ways: its errors, logins, lists and shapes."""
