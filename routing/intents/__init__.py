"""What customers want: recognizing the intent of a text."""
