"""A new reward package, written from templates."""
