"""The big screen: four live charts, and the same over hours and days."""
