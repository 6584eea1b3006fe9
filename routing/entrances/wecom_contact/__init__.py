"""客户联系: which customer is among the contacts of which employee. See docs/entrances.md.

| module   | what                                                                        |
|----------|-----------------------------------------------------------------------------|
| kind     | settings and adapter: an event becomes an arrival                           |
| asking   | what WeCom is asked for while an arrival is processed                       |
| welcome  | the welcome message: once, and within its 20 s                              |
| keeping  | customers, follow-ups and tags are brought in step with what WeCom said     |
| ways     | contact ways: QR codes by which customers add employees                     |
"""
