"""What customers say of how they were served."""
