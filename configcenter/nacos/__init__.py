"""Nacos' open API v1 for configuration, so that existing Nacos clients get their configuration from here, with hot updates.

Served by the ASGI process, as a waiting client must not hold a thread. Page for users: docs/nacos.md.
Reference of the protocol: https://nacos.io/en/docs/v1/open-api/

    application   reading of requests, writing of answers
    routes        what each address does, and who may do it
    protocol      the forms on the wire; no I/O
    identity      who calls, by token, API key or password, and what they may do
    items         get, publish, remove, beta, list and history
    sharing       one read for many who ask for the same
    listening     those who wait for changes
    fingerprints  the md5 of what is in force
    clients       which clients a gray release is for
    refusals      refused clients that repeat without a pause
"""
