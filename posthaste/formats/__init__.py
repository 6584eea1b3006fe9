"""What we write otherwise than Django's formats of a language do."""
