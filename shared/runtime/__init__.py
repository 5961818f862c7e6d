"""What every program needs of its process: settings, log lines, memory."""
