"""Drawings for print: shapes in points, and small writers that make PNG, SVG and PDF of them."""
