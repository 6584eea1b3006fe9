"""Who answers: rules, groups, agents, the queue."""
