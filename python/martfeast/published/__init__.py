"""What is on disk: published versions, releases, and the records of replays."""
