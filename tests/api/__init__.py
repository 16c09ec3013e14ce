"""The doors, knocked on over HTTP: what they let in, what they turn away, and what they say while doing so."""
