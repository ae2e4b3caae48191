"""`make bench`: how fast UMS is, each figure beside references measured in the same run."""
