"""May skills be interpreted: what a design determines."""
