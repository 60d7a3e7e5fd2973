"""What the twins read: English from Debian packages, cleaned, deduplicated, hashed and tokenised."""
