"""An app as the recipe "add a page" in docs/extend.md makes it: the page, and its entry in the navigation."""
