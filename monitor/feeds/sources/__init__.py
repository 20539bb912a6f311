"""Sources: files that are dropped into a folder, and Kafka topics. What they have taken is in the checkpoint."""
