"""What people read: the HTML report, its plots, the model card."""
