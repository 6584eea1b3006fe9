"""Events of the service desk for webhooks and streams, recorded in the transaction of the change that they tell of."""
