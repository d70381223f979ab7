// This room has no test until its first one arrives.
