"""One folder a channel: its options and its way of saying a message."""
