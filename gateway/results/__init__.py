"""What the gateway writes into a study: a structured report and a picture, a series each."""
