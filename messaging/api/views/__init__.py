"""The REST API's views, one subject a module. They check who calls, then call services and selectors."""
