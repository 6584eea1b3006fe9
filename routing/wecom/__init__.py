"""WeCom's protocols: the encryption of its callbacks, what they say, and the calls to its server. No models.

| module    | what                                                                                       |
|-----------|--------------------------------------------------------------------------------------------|
| crypto    | signature and encryption of callbacks and of replies to them                               |
| documents | the XML or JSON of a callback as a dictionary                                              |
| callbacks | what a callback says: messages of employees, events of 微信客服 and of 客户联系            |
| items     | what `kf/sync_msg` returns: messages of customers and events of their sessions             |
| client    | the calls, each a method                                                                   |
| calls     | how a call is made: access token, time-outs, errors                                        |
| answers   | shapes of what the calls return                                                            |
| tokens    | access tokens, shared by all processes                                                     |
| errors    | WeCom's error codes, and what to do about each                                             |
"""
