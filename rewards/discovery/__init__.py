"""Which rewards there are, where they are installed, and how the selected one is loaded."""
