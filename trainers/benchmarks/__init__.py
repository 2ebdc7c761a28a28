"""What is measured by running: iterations, rewards, the places where they run."""
