"""Model files: their header, their classes and colours, and those that ship. Runs none."""
