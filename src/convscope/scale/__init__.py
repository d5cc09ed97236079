"""Passes over data sets: a plan of shards, engines that work through them, and a merge that is always in order."""
