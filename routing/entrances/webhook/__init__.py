"""The signed webhook: any system posts texts as JSON, and gets the replies as signed posts. See docs/entrances.md."""
