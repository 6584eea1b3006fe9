"""What those who lead the desk look at: who waits, who answers, what is late."""
