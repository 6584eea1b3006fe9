"""The web console of the configuration: pages at /config/, made from the modules' classes. Entrances only: the rules lie in the services."""
