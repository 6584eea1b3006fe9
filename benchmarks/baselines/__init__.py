"""What a good engineer would write in a day, to be compared with."""
