"""Delivery rules: what is looked at once more right before a message goes to a provider.

hours     quiet hours and send windows by the recipient's clock: pure functions of the rules and a time
counters  duplicates and frequency caps in Redis: one script for a whole chunk
check     puts a chunk's verdicts together, the suppression list first
deferred  takes another look at what waits for its hour when the rules have changed
"""
