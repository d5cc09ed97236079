"""Looking inside a network: numbers in, frozen dataclasses of numpy arrays out; no framework and no files."""
