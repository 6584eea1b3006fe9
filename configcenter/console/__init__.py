"""The web console of the configuration: pages at /config/, made from the modules' classes. The rules lie in the services."""
