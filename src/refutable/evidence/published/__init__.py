"""Numbers published elsewhere: a CSV, JSON or Parquet table read as samples."""
