"""What every page shares: badges, icons, lists, confirmation, navigation. Knows no models."""
