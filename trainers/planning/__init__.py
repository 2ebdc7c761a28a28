"""What a run is going to take, found on the meta device without computing it."""
