"""What agents do at the desk: the inbox, notes, drafts, quick replies, notices, reports."""
