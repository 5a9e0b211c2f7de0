"""Sections of reports: results into words, figures and tables. Nothing is estimated here."""
