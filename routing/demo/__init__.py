"""The demo's service desk, one subject a module; `load_desk` is what the command runs."""

from routing.demo.desk import load_desk

__all__ = ["load_desk"]
