"""What pages for staff share: the reader's own rows, an audit entry for each change, questions before wide actions."""
