"""The pages at `/help/` for customers, and the widget that shows them on other sites. See docs/portal.md.

| module      | what                                                                     |
|-------------|--------------------------------------------------------------------------|
| addresses   | which address leads where                                                |
| pages       | the pages, the same for all visitors                                     |
| calls       | what the pages' scripts ask and send, with a visitor's token             |
| look        | title, greeting, language and shown parts of an entrance                 |
| articles    | published FAQ entries: listed, drawn, judged                             |
| finding     | articles that a text asks for, by words and by meaning                   |
| requests    | forms of public ticket types, and the tickets of a visitor               |
| opening     | whether the desk is open, and when it opens                              |
| mails       | e-mails that a visitor asks for                                          |
| transcripts | a conversation as an e-mail                                              |
| devices     | a link with which a session goes on elsewhere                            |
| widget      | the script for other sites                                               |
"""
