"""What customers say of how they were answered: asked once each time a conversation is resolved. See docs/portal.md.

| module    | what                                                                   |
|-----------|------------------------------------------------------------------------|
| asking    | asks when a conversation is resolved, in the chat or by a link         |
| rating    | writes what the customer says                                          |
| links     | the page that a link of the purpose `satisfaction` opens               |
| selectors | lists, and figures by agent, group and day                             |
| reactions | what is registered for resolved conversations                          |
"""
