"""What is believed: the forward function, its surface and links, effects, priors."""
