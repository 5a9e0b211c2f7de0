"""What a report is made of, and how it becomes HTML or JSON; nothing here knows what is reported on."""
