"""ONNX files as torch modules: read safely, with the file's names, equal in what they compute."""

from __future__ import annotations

from convscope.nets.onnx.building import OPERATORS, load
from convscope.nets.onnx.module import OnnxModule
from convscope.nets.onnx.reading import GraphInput

__all__ = ["OPERATORS", "GraphInput", "OnnxModule", "load"]
