"""E-mail in: from a mailbox over IMAP, or posted by a mail server. See docs/entrances.md.

| module  | what                                                              |
|---------|-------------------------------------------------------------------|
| kind    | the settings, and the adapter for posted messages                 |
| mime    | a message as sender, text, files and threading                    |
| bodies  | which part of a message is its text, and in which characters      |
| quotes  | the text without what it quotes                                   |
| loops   | what was sent by a machine (RFC 3834)                             |
| automatic, bot_replies | what is done about it, both ways                   |
| threads | which conversation a message belongs to, and the headers of a reply |
| mailbox | one IMAP connection                                               |
| taking  | takes in what is new in a mailbox                                 |
| watch   | the threads that keep mailboxes open                              |
"""
