"""A live run in the browser. Knows nothing about engines, cameras and how they are opened."""
