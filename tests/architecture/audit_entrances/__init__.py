"""The events that the audit trail keeps, each with all the ways it comes; see tests/architecture/test_audit_entrances.py."""
