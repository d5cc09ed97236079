"""The main job: train a network, look inside it and show all of it, live."""

from convscope.demo.main import DemoOptions, run_demo

__all__ = ["DemoOptions", "run_demo"]
