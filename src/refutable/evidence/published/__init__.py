"""Other people's numbers: a CSV, JSON or Parquet table read as samples."""
