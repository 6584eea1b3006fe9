"""微信客服: customers write in WeChat to the accounts of a company. See docs/entrances.md.

A callback says only that there is something to fetch. It is noted (`wanted`) and answered; a worker fetches it (`pulling`).
"""
