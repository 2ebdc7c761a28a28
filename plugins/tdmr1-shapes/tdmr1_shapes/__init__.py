"""A small world of shapes and signs, and a text-to-image generator that learns it on a laptop."""
