"""The commands of `liasse`, one module each."""
