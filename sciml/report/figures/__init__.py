"""The figures of a report: functions from plain arrays (or a noise floor) to `Figure`."""
