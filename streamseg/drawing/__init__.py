"""Labels drawn onto frames, in the frames' own planes. Knows nothing about files and engines."""
