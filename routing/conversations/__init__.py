"""What is written: arrivals, conversations, lines, attachments, replies."""
