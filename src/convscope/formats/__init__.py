"""Bytes to values and back: checksums, protobuf's wire format, TFRecord framing, TensorBoard's events, PNG.

Nothing here knows a path, a thread or a clock: bytes and arrays in, bytes and arrays out.
"""
