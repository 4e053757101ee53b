"""Programs on the finished course."""
