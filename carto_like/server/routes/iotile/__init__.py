"""The routes of IOTile Cloud, relative to ``/iotile/api/v1``."""
