"""A wake-up list, never the record: losing all of it loses nothing, and a job run twice does nothing twice."""
